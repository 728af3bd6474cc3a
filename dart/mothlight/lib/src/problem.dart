import 'answer.dart';
import 'errors.dart';
import 'hints.dart';
import 'method.dart';

/// The longest `retry_after` of a problem document that is believed, seconds.
const double _maxRetryAfter = 1e9;

/// The exception that a problem document is: one of the [method]'s declared
/// errors, one of the runtime's own, or an [ApiException], as a declared error
/// is too whose fields do not fit.
MothlightException exceptionOf(
  Map<String, Object?> document, {
  Method<Object?, Object?>? method,
  Answer? answer,
  String? callId,
  String? hint,
}) {
  final problem = problemOf(document, answer: answer, callId: callId);
  if (method?.errors[problem.type] case final make?) {
    try {
      return make(problem);
    } on DecodeException {
      // Of another contract. What the server says is worth more than that.
      final command = method!.contract.command;
      return ApiException(problem, hint: hint ?? contractHint(command));
    }
  }
  return switch (problem.type) {
    'DeadlineExceeded' => CallTimeoutException(
      problem.detail,
      callId: problem.callId,
    ),
    // It has no hint of its own: what is known about it is its message.
    'Cancelled' => CancelledException(hint ?? problem.detail, problem.callId),
    'InvalidRequest' => InvalidRequestException(problem, hint: hint),
    'Superseded' => SupersededException(problem),
    'Unauthenticated' => UnauthenticatedException(problem, hint: hint),
    'Overloaded' || 'QuotaExceeded' => OverloadedException(problem),
    _ => ApiException(problem, hint: hint ?? hintForProblem(problem.type)),
  };
}

/// A problem document read; what it does not say is taken from [answer].
Problem problemOf(
  Map<String, Object?> document, {
  Answer? answer,
  String? callId,
}) {
  final status = switch (document['status']) {
    final int status when status >= 100 && status < 600 => status,
    _ => answer?.status ?? 500,
  };
  return Problem(
    type: switch (document['type']) {
      final String type => type,
      _ => 'about:blank', // RFC 9457, 4.2.1
    },
    code: switch (document['code']) {
      final String code => Code.of(code),
      _ => codeOf(status),
    },
    status: status,
    detail: switch ((document['detail'], document['title'])) {
      (final String detail, _) => detail,
      (_, final String title) => title,
      _ => 'HTTP $status',
    },
    fields: Map.unmodifiable(document),
    callId: answer?.headers['call-id'] ?? callId,
    retryAfter: answer?.retryAfter ?? _seconds(document['retry_after']),
  );
}

/// The exception that an answer is which no Mothlight server gave: a proxy's
/// error page, a captive portal's form, another server at this address.
MothlightException foreign(Answer answer, {required Uri url, String? callId}) {
  final kind = answer.mediaType.isEmpty ? 'no content type' : answer.mediaType;
  final what = 'HTTP ${answer.status}, $kind: ${answer.start}';
  final hint = hintForAnswer(url, answer);
  if (answer.isSuccess) {
    return DecodeException(
      'this is not the answer of a Mothlight server: $what',
      hint: hint,
      callId: callId,
    );
  }
  final problem = Problem(
    type: 'about:blank',
    code: codeOf(answer.status),
    status: answer.status,
    detail: what,
    fields: const {},
    callId: answer.headers['call-id'] ?? callId,
    retryAfter: answer.retryAfter,
  );
  return switch (answer.status) {
    401 => UnauthenticatedException(problem, hint: hint),
    429 || 503 => OverloadedException(problem, hint: hint),
    _ => ApiException(problem, hint: hint),
  };
}

/// The code that a status of HTTP says as much as.
Code codeOf(int status) => switch (status) {
  400 || 415 || 422 => Code.invalidArgument,
  401 => Code.unauthenticated,
  403 => Code.permissionDenied,
  404 => Code.notFound,
  413 => Code.outOfRange,
  429 => Code.resourceExhausted,
  502 || 503 || 504 => Code.unavailable,
  _ => Code.unknown,
};

Duration? _seconds(Object? value) =>
    value is num && value >= 0 && value < _maxRetryAfter
        ? Duration(milliseconds: (value * 1000).ceil())
        : null;
