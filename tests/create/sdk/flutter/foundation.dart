export 'dart:typed_data' show Uint8List;

export 'src/foundation.dart';
