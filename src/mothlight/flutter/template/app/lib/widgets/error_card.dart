import 'package:flutter/foundation.dart';
import 'package:flutter/material.dart';
import 'package:mothlight/mothlight.dart';
import 'package:mothlight_app_api/mothlight_app_api.dart';

/// What went wrong, what to do about it, and a button to try again.
class ErrorCard extends StatelessWidget {
  const ErrorCard({required this.error, this.onRetry, super.key});

  final MothlightException error;
  final VoidCallback? onRetry;

  @override
  Widget build(BuildContext context) {
    final colors = Theme.of(context).colorScheme;
    final (icon, title, advice) = describe(error);
    return Semantics(
      container: true,
      liveRegion: true,
      child: Card.filled(
        color: colors.errorContainer,
        margin: EdgeInsets.zero,
        child: Padding(
          padding: const EdgeInsets.all(16),
          child: DefaultTextStyle.merge(
            style: TextStyle(color: colors.onErrorContainer),
            child: Column(
              crossAxisAlignment: CrossAxisAlignment.start,
              spacing: 8,
              children: [
                Row(
                  spacing: 12,
                  children: [
                    Icon(icon, color: colors.onErrorContainer),
                    Expanded(
                      child: Text(
                        title,
                        style: const TextStyle(fontWeight: FontWeight.bold),
                      ),
                    ),
                  ],
                ),
                if (advice.isNotEmpty) Text(advice),
                // Hints are for developers.
                if (error.hint case final hint? when kDebugMode)
                  Text(hint, style: const TextStyle(fontSize: 12)),
                if (onRetry != null)
                  FilledButton.tonalIcon(
                    onPressed: onRetry,
                    icon: const Icon(Icons.refresh),
                    label: const Text('Try again'),
                  ),
              ],
            ),
          ),
        ),
      ),
    );
  }

  /// The words for an error. The compiler sees that none is forgotten.
  static (IconData icon, String title, String advice) describe(
    MothlightException error,
  ) => switch (error) {
    ConnectionException(:final url) => (
      Icons.cloud_off,
      'The server does not answer',
      'Is this device connected, and ${url.host} up?',
    ),
    CallTimeoutException() => (
      Icons.timer_off_outlined,
      'It took too long',
      'The server may have much to do at the moment.',
    ),
    CancelledException() => (
      Icons.stop_circle_outlined,
      'The server gave it up',
      'This app was away for too long, or the call was cancelled.',
    ),
    DecodeException() => (
      Icons.translate,
      'The answer cannot be read',
      'This app and its server are of different versions.',
    ),
    PromptTooLong(:final tokens, :final limit) => (
      Icons.short_text,
      'That is too long',
      'It has $tokens tokens, and $limit are allowed.',
    ),
    InvalidRequestException(:final violations) => (
      Icons.edit_off_outlined,
      'The server does not accept this',
      violations.join('\n'),
    ),
    OverloadedException(:final retryAfter) => (
      Icons.hourglass_empty,
      'There is much to do at the moment',
      switch (retryAfter?.inSeconds) {
        final seconds? when seconds > 0 => 'Try again in $seconds s.',
        _ => 'Try again in a moment.',
      },
    ),
    UnauthenticatedException() => (
      Icons.lock_outline,
      'Please sign in',
      'The server wants to know who calls.',
    ),
    SupersededException() => (
      Icons.update,
      'A newer request took its place',
      '',
    ),
    ApiException(status: 413) => (
      Icons.photo_library_outlined,
      'That is too large',
      'Take a smaller one.',
    ),
    ApiException(:final message) => (
      Icons.error_outline,
      'That did not work',
      message,
    ),
  };
}
