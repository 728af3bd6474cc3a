/// Tests without a server: fakes of streams for widget tests, and an adapter
/// that answers by a script.
library;

import 'src/errors.dart';

export 'src/fake_stream.dart';
export 'src/scripted_adapter.dart';
export 'src/scripted_socket.dart';

/// What a server says of an error, for exceptions in tests:
/// `TextTooLong(fakeProblem(fields: {'length': 3, 'limit': 2}))`. A declared
/// error throws where one of its [fields] is not there.
Problem fakeProblem({
  String type = 'Error',
  Code code = Code.unknown,
  int status = 500,
  String detail = 'an error of a test',
  Map<String, Object?> fields = const {},
  String? callId,
  Duration? retryAfter,
}) => Problem(
  type: type,
  code: code,
  status: status,
  detail: detail,
  fields: fields,
  callId: callId,
  retryAfter: retryAfter,
);

/// [answer] after [delay]: for fakes
/// whose callers show that they wait.
Future<T> answerAfter<T>(Duration delay, T answer) =>
    Future<T>.delayed(delay, () => answer);

/// [error] after [delay].
Future<T> failAfter<T>(Duration delay, MothlightException error) =>
    Future<T>.delayed(delay, () => throw error);
