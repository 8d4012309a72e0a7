//! The catalogue of boards and OS profiles: partial documents to complete types.
