//! The edge: sizes, times, credentials, failed authentications, requests per root key.
