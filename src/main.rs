//! The street.

fn main() {}
