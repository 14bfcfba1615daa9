// OSPFv2 and OSPFv3.
