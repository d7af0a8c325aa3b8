"""Language times vocabulary: token masks and transitions by state number; knows no tensor."""
