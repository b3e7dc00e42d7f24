//! The README tells the truth: its curl lines work, its tables are those of the code.
