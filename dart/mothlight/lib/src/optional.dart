import 'equality.dart';

/// A field that may be left out *and* may be null, which are two things where
/// only the server knows the default.
sealed class Optional<T> {
  /// Of [Present] and [Absent] alone.
  const Optional();

  /// It is there.
  const factory Optional.of(T value) = Present<T>;

  /// It is left out: the server takes its default.
  const factory Optional.absent() = Absent<T>;
}

/// A field that is there.
final class Present<T> extends Optional<T> {
  /// With this value.
  const Present(this.value);

  /// The value.
  final T value;

  @override
  bool operator ==(Object other) =>
      other is Present<T> && deepEquals(other.value, value);

  @override
  int get hashCode => Object.hash(Present, deepHash(value));

  @override
  String toString() => '$value';
}

/// A field that is left out.
final class Absent<T> extends Optional<T> {
  /// It has no value.
  const Absent();

  @override
  bool operator ==(Object other) => other is Absent<T>;

  @override
  int get hashCode => (Absent).hashCode;

  @override
  String toString() => 'absent';
}
