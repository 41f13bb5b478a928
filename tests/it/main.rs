//! The whole program against real servers and clients.
