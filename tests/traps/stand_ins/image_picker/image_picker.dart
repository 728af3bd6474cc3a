/// Stands in for image_picker where there is no phone: it picks the file
/// [ImagePicker.path], and keeps what it was asked for.
library;

import 'dart:io';
import 'dart:typed_data';

enum ImageSource { camera, gallery }

class XFile {
  XFile(this.path);

  final String path;

  String get name => path.split('/').last;

  Future<int> length() => File(path).length();

  Stream<Uint8List> openRead([int? start, int? end]) =>
      File(path).openRead(start, end).map(Uint8List.fromList);
}

class ImagePicker {
  ImagePicker([this.path]);

  /// Null: the user picks nothing.
  String? path;

  (double?, double?, int?)? asked;

  Future<XFile?> pickImage({
    required ImageSource source,
    double? maxWidth,
    double? maxHeight,
    int? imageQuality,
    bool requestFullMetadata = true,
  }) async {
    asked = (maxWidth, maxHeight, imageQuality);
    return path == null ? null : XFile(path!);
  }
}
