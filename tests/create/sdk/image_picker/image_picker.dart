/// Stands in for image_picker where there is none, so that the template's widgets
/// can be compiled: the signatures that they use, as image_picker 1.2 has them.
library;

import 'dart:typed_data';

enum ImageSource { camera, gallery }

enum CameraDevice { rear, front }

class XFile {
  XFile(String path, {String? name, String? mimeType});
  XFile.fromData(
    Uint8List bytes, {
    String? mimeType,
    String? name,
    int? length,
    DateTime? lastModified,
    String? path,
  });
  String get name => '';
  String? get mimeType => null;
  Future<int> length() => throw '';
  Future<Uint8List> readAsBytes() => throw '';
  Stream<Uint8List> openRead([int? start, int? end]) => throw '';
}

class LostDataResponse {
  LostDataResponse({XFile? file, this.files});
  LostDataResponse.empty() : files = null;
  bool get isEmpty => true;
  final List<XFile>? files;
}

class ImagePicker {
  Future<XFile?> pickImage({
    required ImageSource source,
    double? maxWidth,
    double? maxHeight,
    int? imageQuality,
    CameraDevice preferredCameraDevice = CameraDevice.rear,
    bool requestFullMetadata = true,
  }) => throw '';
  Future<LostDataResponse> retrieveLostData() => throw '';
  bool supportsImageSource(ImageSource source) => true;
}
