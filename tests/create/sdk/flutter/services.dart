export 'src/widgets.dart' show PlatformException, TextCapitalization;
