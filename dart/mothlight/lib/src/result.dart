import 'errors.dart';

/// An answer or an error, for who prefers values:
///
/// ```dart
/// switch (await api.analyze(review).result()) {
///   case Ok(:final value): show(value);
///   case Err(:final error): explain(error);
/// }
/// ```
sealed class Result<T> {
  /// Of [Ok] and [Err] alone.
  const Result();
}

/// The answer.
final class Ok<T> extends Result<T> {
  /// With this value.
  const Ok(this.value);

  /// The answer.
  final T value;

  @override
  String toString() => 'Ok($value)';
}

/// The error.
final class Err<T> extends Result<T> {
  /// With this error.
  const Err(this.error);

  /// Why there is no answer.
  final MothlightException error;

  @override
  String toString() => 'Err($error)';
}

/// A call's answer as a value.
extension FutureResult<T> on Future<T> {
  /// The answer as an [Ok], a [MothlightException] as an [Err].
  Future<Result<T>> result() async {
    try {
      return Ok(await this);
    } on MothlightException catch (error) {
      return Err(error);
    }
  }
}
