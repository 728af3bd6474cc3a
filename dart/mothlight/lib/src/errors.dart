import 'json.dart';

/// The 16 canonical codes of gRPC; [unknown] also stands for one of a newer
/// server.
enum Code {
  /// The caller cancelled it.
  cancelled('cancelled'),

  /// An error without a better code.
  unknown('unknown'),

  /// The message is wrong, whatever the state of the server.
  invalidArgument('invalid_argument'),

  /// It took too long.
  deadlineExceeded('deadline_exceeded'),

  /// There is no such thing.
  notFound('not_found'),

  /// It is there already.
  alreadyExists('already_exists'),

  /// The caller may not do it.
  permissionDenied('permission_denied'),

  /// A quota is used up.
  resourceExhausted('resource_exhausted'),

  /// The state of the server does not allow it.
  failedPrecondition('failed_precondition'),

  /// A newer call took its place, or two got into each other's way.
  aborted('aborted'),

  /// Beyond what there is, or is allowed.
  outOfRange('out_of_range'),

  /// The server does not have it.
  unimplemented('unimplemented'),

  /// The server failed.
  internal('internal'),

  /// For now it cannot be done; try again.
  unavailable('unavailable'),

  /// Data is lost.
  dataLoss('data_loss'),

  /// Nobody knows who the caller is.
  unauthenticated('unauthenticated');

  const Code(this.wire);

  /// The code's name on the wire.
  final String wire;

  /// The code of a name; [unknown] where there is none.
  static Code of(Object? wire) => values.firstWhere(
    (code) => code.wire == wire,
    orElse: () => Code.unknown,
  );
}

/// What a call can end with instead of an answer.
sealed class MothlightException implements Exception {
  /// See the fields.
  const MothlightException(this.message, {this.hint, this.callId});

  /// What happened, for a developer.
  final String message;

  /// What a developer may do about it; null where nothing is known to help.
  final String? hint;

  /// The id of the call, where it got one.
  final String? callId;

  /// Whether the same call may well succeed a little later.
  bool get isTransient => false;

  // Not runtimeType, whose names are gone where code is minified.
  String get _name;

  @override
  String toString() =>
      hint == null ? '$_name: $message' : '$_name: $message\n$hint';
}

/// The server cannot be reached, or the connection to it was lost more often
/// than the call's retries allow.
final class ConnectionException extends MothlightException {
  /// See the fields.
  const ConnectionException(
    super.message, {
    required this.url,
    this.received = 0,
    this.cause,
    super.hint,
    super.callId,
  });

  /// Where it was tried.
  final Uri url;

  /// How many items of a stream had come.
  final int received;

  /// The exception of the platform.
  final Object? cause;

  @override
  bool get isTransient => true;

  @override
  String get _name => 'ConnectionException';
}

/// The call's time was over, here or on the server.
final class CallTimeoutException extends MothlightException {
  /// See [MothlightException].
  const CallTimeoutException(super.message, {super.hint, super.callId});

  @override
  bool get isTransient => true;

  @override
  String get _name => 'CallTimeoutException';
}

/// The call was cancelled by its [CancelToken], or on the server.
final class CancelledException extends MothlightException {
  /// See [MothlightException].
  const CancelledException([
    super.message = 'the call was cancelled',
    String? callId,
  ]) : super(callId: callId);

  @override
  String get _name => 'CancelledException';
}

/// What came is not what the contract says: a server of another version, or
/// something between us and the server.
final class DecodeException extends MothlightException {
  /// See the fields.
  const DecodeException(
    super.message, {
    this.path = '',
    super.hint,
    super.callId,
  });

  /// Where in the value: `items[0].score`.
  final String path;

  @override
  String get _name => 'DecodeException';
}

/// The server's own word on why a call failed: a problem document (RFC 9457).
/// Errors that a service declares are classes of their own in its package.
base class ApiException extends MothlightException {
  /// The error that [problem] describes.
  ApiException(this.problem, {super.hint})
    : super(problem.detail, callId: problem.callId);

  /// The document.
  final Problem problem;

  /// Its `type`, the name of the error's class on the server: `BadMedia`.
  String get type => problem.type;

  /// Its code.
  Code get code => problem.code;

  /// The status of HTTP.
  int get status => problem.status;

  /// How long to wait before another try, where the server says so.
  Duration? get retryAfter => problem.retryAfter;

  @override
  bool get isTransient => code == Code.unavailable || status == 429;

  @override
  String get _name => type == 'about:blank' ? 'ApiException' : type;
}

/// The message does not fit the method: 422.
final class InvalidRequestException extends ApiException {
  /// The error that [problem] describes.
  InvalidRequestException(super.problem, {super.hint});

  /// What is wrong, field by field.
  late final List<FieldViolation> violations = FieldViolation.listOf(problem);

  @override
  String get _name => 'InvalidRequestException';
}

/// A field that does not fit.
final class FieldViolation {
  /// See the fields.
  const FieldViolation(this.path, this.message);

  /// Those of a problem document.
  static List<FieldViolation> listOf(Problem problem) => [
    if (problem.fields['errors'] case final List<Object?> errors)
      for (final error in errors)
        if (error case {
          'path': final String path,
          'message': final String message,
        })
          FieldViolation(path, message),
  ];

  /// Which field: `items[0].text`; empty: the whole message.
  final String path;

  /// What is wrong with it.
  final String message;

  @override
  String toString() => '$path: $message';
}

/// A newer call with the same [SupersedeKey] took this one's place. Most
/// callers pass it over in silence.
final class SupersededException extends ApiException {
  /// The error that [problem] describes.
  SupersededException(super.problem);

  @override
  String get _name => 'SupersededException';
}

/// The server does not know who calls: 401, also after the token was asked
/// for anew.
final class UnauthenticatedException extends ApiException {
  /// The error that [problem] describes.
  UnauthenticatedException(super.problem, {super.hint});

  @override
  String get _name => 'UnauthenticatedException';
}

/// The server has more work than it can do (503), or this caller has used up
/// its quota (429); [retryAfter] says when to come back.
final class OverloadedException extends ApiException {
  /// The error that [problem] describes.
  OverloadedException(super.problem, {super.hint});

  @override
  String get _name => 'OverloadedException';
}

/// A problem document (RFC 9457) as it came.
final class Problem {
  /// See the fields.
  const Problem({
    required this.type,
    required this.code,
    required this.status,
    required this.detail,
    required this.fields,
    this.callId,
    this.retryAfter,
  });

  /// The name of the error's class.
  final String type;

  /// Its code.
  final Code code;

  /// The status of HTTP.
  final int status;

  /// The message.
  final String detail;

  /// All members of the document.
  final Map<String, Object?> fields;

  /// The id of the call.
  final String? callId;

  /// From `Retry-After`, or the member `retry_after`.
  final Duration? retryAfter;

  /// The error's own fields, for the classes of generated packages.
  JsonMap get map => JsonMap(fields);
}
