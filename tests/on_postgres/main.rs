include!("../it/main.rs");
