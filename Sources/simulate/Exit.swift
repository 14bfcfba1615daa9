#if canImport(Glibc)
    import Glibc
#endif

func exitProcess(_ code: Int32) -> Never { exit(code) }
