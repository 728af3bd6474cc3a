/// Stands in for package:flutter/foundation.dart where there is no Flutter:
/// as much of it as the template's controllers use.
library;

enum TargetPlatform { android, fuchsia, iOS, linux, macOS, windows }

const bool kIsWeb = false;
const bool kReleaseMode = false;
TargetPlatform get defaultTargetPlatform => TargetPlatform.linux;

mixin class ChangeNotifier {
  final List<void Function()> _listeners = [];
  bool _isDisposed = false;

  void addListener(void Function() listener) => _listeners.add(listener);

  void removeListener(void Function() listener) => _listeners.remove(listener);

  void notifyListeners() {
    if (_isDisposed) throw StateError('used after it was disposed');
    for (final listener in [..._listeners]) {
      listener();
    }
  }

  void dispose() {
    if (_isDisposed) throw StateError('disposed twice');
    _isDisposed = true;
  }
}
