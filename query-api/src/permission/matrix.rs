//! Every route that the router knows, by every kind of caller, for things that are his, in his
//! scope, out of it, and nowhere. A route that is not listed here fails.
