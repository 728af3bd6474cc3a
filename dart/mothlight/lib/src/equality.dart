/// Whether two JSON-like values are equal, lists and maps item by item; NaN
/// equals NaN.
bool deepEquals(Object? a, Object? b) => switch ((a, b)) {
  (final List<Object?> a, final List<Object?> b) => _equalLists(a, b),
  (final Map<Object?, Object?> a, final Map<Object?, Object?> b) =>
    a.length == b.length &&
        a.entries.every(
          (entry) =>
              b.containsKey(entry.key) && deepEquals(entry.value, b[entry.key]),
        ),
  (final double a, final double b) when a.isNaN => b.isNaN,
  _ => a == b,
};

bool _equalLists(List<Object?> a, List<Object?> b) {
  if (identical(a, b)) return true;
  if (a.length != b.length) return false;
  for (var i = 0; i < a.length; i++) {
    if (!deepEquals(a[i], b[i])) return false;
  }
  return true;
}

/// A hash for which [deepEquals] values are equal.
int deepHash(Object? value) => switch (value) {
  final List<Object?> items => Object.hashAll(items.map(deepHash)),
  final Map<Object?, Object?> map => Object.hashAllUnordered([
    for (final MapEntry(:key, :value) in map.entries)
      Object.hash(key, deepHash(value)),
  ]),
  double(isNaN: true) => 0x7ff8,
  _ => value.hashCode,
};
