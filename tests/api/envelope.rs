//! The envelope of every answer, the media types of errors, the requests that match no operation.
