import 'dart:async';

/// Calls back to the app. What its function throws is the app's own, and
/// neither the call's end nor lost.
void tell<T>(void Function(T value)? callback, T value) {
  if (callback != null) guarded(() => callback(value));
}

/// Runs the app's own code; see [tell].
void guarded(void Function() body) {
  try {
    body();
  } catch (error, stack) {
    Zone.current.handleUncaughtError(error, stack);
  }
}
