"""What the engine and the editors share: the wire, in the standard library and msgpack alone."""
