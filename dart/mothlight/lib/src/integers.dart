/// Whether `int` is JavaScript's number, which keeps 53 bits.
const bool intsAreDoubles = identical(0, 0.0);

/// The largest integer below which a double has every one: 2^53 - 1.
const int maxSafeInt = 9007199254740991;
