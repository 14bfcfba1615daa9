// IS-IS.
