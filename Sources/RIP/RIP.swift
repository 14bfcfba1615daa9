// RIPv2 and RIPng.
