//! Makes sockets in the network of a running sandbox from outside, without privileges: a helper process and its client.
#![forbid(unsafe_code)]
