// The tests of the TCP target.
