/// Stands in for Flutter where there is none, so that the template's widgets
/// can be compiled: the signatures that they use, as Flutter 3.44 has them.
library;

enum TargetPlatform { android, fuchsia, iOS, linux, macOS, windows }

const bool kIsWeb = bool.fromEnvironment('web');
const bool kReleaseMode = false;
const bool kDebugMode = true;
TargetPlatform get defaultTargetPlatform => TargetPlatform.linux;
typedef VoidCallback = void Function();
typedef ValueChanged<T> = void Function(T value);

abstract class Listenable {
  const Listenable();
  void addListener(VoidCallback l);
  void removeListener(VoidCallback l);
}

mixin class ChangeNotifier implements Listenable {
  void addListener(VoidCallback l) {}
  void removeListener(VoidCallback l) {}
  void notifyListeners() {}
  void dispose() {}
}
