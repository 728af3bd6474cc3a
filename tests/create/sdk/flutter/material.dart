export 'src/foundation.dart'
    show ChangeNotifier, Listenable, TargetPlatform, ValueChanged, VoidCallback;
export 'src/material.dart';
export 'src/widgets.dart' hide PlatformException;
