import 'dart:typed_data';

import 'integers.dart';

/// What a tensor's elements are; little-endian, as on every platform of Dart.
enum DType {
  /// `true` or `false`, a byte each.
  boolean('BOOL', 1),

  /// 8 bits without sign.
  uint8('U8', 1),

  /// 8 bits.
  int8('I8', 1),

  /// 16 bits without sign.
  uint16('U16', 2),

  /// 16 bits.
  int16('I16', 2),

  /// Half precision (IEEE 754).
  float16('F16', 2),

  /// The upper half of a [float32].
  bfloat16('BF16', 2),

  /// 32 bits without sign.
  uint32('U32', 4),

  /// 32 bits.
  int32('I32', 4),

  /// Single precision (IEEE 754).
  float32('F32', 4),

  /// 64 bits without sign.
  uint64('U64', 8),

  /// 64 bits.
  int64('I64', 8),

  /// Double precision (IEEE 754).
  float64('F64', 8);

  const DType(this.wire, this.size);

  /// The name in safetensors.
  final String wire;

  /// Bytes of an element.
  final int size;
}

/// Numbers of one type in a box of any number of dimensions, in row-major
/// order.
final class Tensor {
  /// [bytes] are the elements, little-endian; they are not copied. Throws
  /// [ArgumentError] where they do not fill [shape].
  Tensor(this.dtype, List<int> shape, this.bytes)
    : shape = List.unmodifiable(shape) {
    for (final size in shape) {
      RangeError.checkNotNegative(size, 'shape');
    }
    if (bytes.length != length * dtype.size) {
      throw ArgumentError(
        '${bytes.length} bytes do not fill $this: '
        '${length * dtype.size} would',
      );
    }
  }

  /// Single precision, without a copy.
  factory Tensor.float32(List<int> shape, Float32List values) =>
      Tensor(DType.float32, shape, Uint8List.sublistView(values));

  /// Double precision, without a copy.
  factory Tensor.float64(List<int> shape, Float64List values) =>
      Tensor(DType.float64, shape, Uint8List.sublistView(values));

  /// Bytes: the pixels of an image.
  factory Tensor.uint8(List<int> shape, Uint8List values) =>
      Tensor(DType.uint8, shape, values);

  /// Integers of 32 bits, without a copy.
  factory Tensor.int32(List<int> shape, Int32List values) =>
      Tensor(DType.int32, shape, Uint8List.sublistView(values));

  /// Integers of 64 bits, which PyTorch has for labels and tokens.
  factory Tensor.int64(List<int> shape, List<int> values) {
    // Not as Int64List: the web has none.
    final words = Uint32List(values.length * 2);
    for (final (index, value) in values.indexed) {
      words[index * 2] = value % _word;
      words[index * 2 + 1] =
          intsAreDoubles ? (value / _word).floor() : value >> 32;
    }
    return Tensor(DType.int64, shape, Uint8List.sublistView(words));
  }

  static const int _word = 4294967296; // 2^32

  /// What the elements are.
  final DType dtype;

  /// The size in each dimension; empty: a single number.
  final List<int> shape;

  /// The elements, little-endian.
  final Uint8List bytes;

  /// How many elements there are.
  int get length => shape.fold(1, (count, size) => count * size);

  /// The elements in single precision: a view where they are float32 and
  /// stand aligned, else a copy. Float64 loses digits. Throws [StateError]
  /// for integers of 32 and 64 bits, which single precision cannot hold.
  Float32List asFloat32List() => switch (dtype) {
    DType.float32 => Float32List.sublistView(_aligned),
    DType.float64 => Float32List.fromList(Float64List.sublistView(_aligned)),
    DType.float16 => _widenHalf(Uint16List.sublistView(_aligned)),
    DType.bfloat16 => _widenBrain(Uint16List.sublistView(_aligned)),
    DType.boolean || DType.uint8 || DType.int8 || DType.uint16 || DType.int16 =>
      Float32List.fromList([for (final value in asIntList()) value.toDouble()]),
    _ => throw StateError('$this does not fit in single precision'),
  };

  /// The elements in double precision: a view where they are float64 and
  /// stand aligned, else a copy. Throws [StateError] for integers of 64 bits.
  Float64List asFloat64List() => switch (dtype) {
    DType.float64 => Float64List.sublistView(_aligned),
    DType.float32 ||
    DType.float16 ||
    DType.bfloat16 => Float64List.fromList(asFloat32List()),
    DType.int64 ||
    DType.uint64 => throw StateError('$this does not fit in double precision'),
    _ => Float64List.fromList([
      for (final value in asIntList()) value.toDouble(),
    ]),
  };

  /// The elements as integers of 32 bits: a view where they are such and stand
  /// aligned, else a copy. Throws [StateError] for wider ones and for floats;
  /// see [asIntList].
  Int32List asInt32List() => switch (dtype) {
    DType.int32 => Int32List.sublistView(_aligned),
    DType.boolean ||
    DType.uint8 ||
    DType.int8 ||
    DType.uint16 ||
    DType.int16 => Int32List.fromList(asIntList()),
    _ => throw StateError('$this does not fit in 32 bits'),
  };

  /// The elements as integers, of whichever width. Throws [StateError] for
  /// floats, and [RangeError] for a value that this platform's `int` cannot
  /// hold: beyond 64 bits with sign natively, beyond 53 on the web.
  List<int> asIntList() => switch (dtype) {
    DType.boolean || DType.uint8 => bytes,
    DType.int8 => Int8List.sublistView(bytes),
    DType.uint16 => Uint16List.sublistView(_aligned),
    DType.int16 => Int16List.sublistView(_aligned),
    DType.uint32 => Uint32List.sublistView(_aligned),
    DType.int32 => Int32List.sublistView(_aligned),
    DType.int64 || DType.uint64 => _longs(),
    _ => throw StateError('$this has no integers'),
  };

  /// Bytes that a view of wider elements may be laid over.
  Uint8List get _aligned =>
      bytes.offsetInBytes % dtype.size == 0 ? bytes : Uint8List.fromList(bytes);

  List<int> _longs() {
    final data = ByteData.sublistView(bytes);
    return List<int>.generate(length, (index) {
      final low = data.getUint32(index * 8, Endian.little);
      final high =
          dtype == DType.int64
              ? data.getInt32(index * 8 + 4, Endian.little)
              : data.getUint32(index * 8 + 4, Endian.little);
      final limit = intsAreDoubles ? 0x200000 : 0x80000000; // 2^53, 2^63
      if (high >= limit || high < -limit) {
        throw RangeError(
          'element $index of $this is too large for an int here',
        );
      }
      return high * _word + low;
    }, growable: false);
  }

  @override
  String toString() => 'Tensor(${dtype.wire}, $shape)';
}

/// Half precision as single: 1 bit of sign, 5 of exponent, 10 of fraction.
Float32List _widenHalf(Uint16List halves) {
  final bits = Uint32List(halves.length);
  final floats = Float32List.sublistView(bits);
  for (var i = 0; i < halves.length; i++) {
    final half = halves[i];
    final sign = half & 0x8000, exponent = half & 0x7c00;
    final fraction = half & 0x03ff;
    if (exponent == 0) {
      final value = fraction / 16777216; // 2^-24: below the normal ones
      floats[i] = sign == 0 ? value : -value;
    } else {
      final wide = exponent == 0x7c00 ? 0xff : (exponent >> 10) + 112;
      bits[i] = sign << 16 | wide << 23 | fraction << 13;
    }
  }
  return floats;
}

Float32List _widenBrain(Uint16List brains) {
  final bits = Uint32List(brains.length);
  for (var i = 0; i < brains.length; i++) {
    bits[i] = brains[i] << 16;
  }
  return Float32List.sublistView(bits);
}
