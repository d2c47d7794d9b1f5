//! Tables, plots and pages from result sets.
