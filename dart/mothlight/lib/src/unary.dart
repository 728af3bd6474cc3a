import 'answer.dart';
import 'body.dart';
import 'callback.dart';
import 'errors.dart';
import 'exchange.dart';
import 'session.dart';

/// The answer of a call that has one, read by [read]. [encode] gives the body.
///
/// Throws [MothlightException], and what [encode] throws.
Future<T> callUnary<T>(
  Session session,
  Exchange<Object?> exchange,
  T Function(Answer answer) read, {
  Future<RequestBody> Function()? encode,
}) async {
  try {
    final ending = session.begin(exchange);
    try {
      if (encode != null) exchange.body = await ending.guard(encode());
      final answer = await session.answer(exchange, ending);
      tell(exchange.options.onMetadata, exchange.metadata(answer));
      return read(answer);
    } finally {
      session.finish(exchange, ending);
    }
  } on MothlightException catch (error, stack) {
    Error.throwWithStackTrace(
      await session.contracts.explain(exchange, error),
      stack,
    );
  }
}
