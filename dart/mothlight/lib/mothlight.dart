/// Calls of Mothlight servers: PyTorch models behind Flutter apps.
library;

export 'src/call.dart';
export 'src/errors.dart';
export 'src/file.dart';
export 'src/http_adapter.dart';
export 'src/method.dart' show Cardinality, Method, ServiceContract;
export 'src/operation.dart';
export 'src/optional.dart';
export 'src/result.dart';
export 'src/safetensors.dart';
export 'src/tensor.dart';
export 'src/transport.dart';
