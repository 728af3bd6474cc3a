/// Tensors and the safetensors format.
library;

import 'dart:convert';
import 'dart:typed_data';

import 'package:mothlight/mothlight.dart';

import 'harness.dart';

/// What `safetensors.torch.save` 0.8.0 writes of a tensor of each type.
final Uint8List _written = base64.decode(
  'kAMAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJwdCJ9LCJ1NjQiOnsiZHR5cG'
  'UiOiJVNjQiLCJzaGFwZSI6WzFdLCJkYXRhX29mZnNldHMiOlswLDhdfSwiaTY0Ijp7ImR0'
  'eXBlIjoiSTY0Iiwic2hhcGUiOls2XSwiZGF0YV9vZmZzZXRzIjpbOCw1Nl19LCJmNjQiOn'
  'siZHR5cGUiOiJGNjQiLCJzaGFwZSI6WzEsMl0sImRhdGFfb2Zmc2V0cyI6WzU2LDcyXX0s'
  'ImVtcHR5Ijp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlswLDNdLCJkYXRhX29mZnNldHMiOl'
  's3Miw3Ml19LCJmMzIiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzNdLCJkYXRhX29mZnNl'
  'dHMiOls3Miw4NF19LCJzY2FsYXIiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6W10sImRhdG'
  'Ffb2Zmc2V0cyI6Wzg0LDg4XX0sInUzMiI6eyJkdHlwZSI6IlUzMiIsInNoYXBlIjpbMV0s'
  'ImRhdGFfb2Zmc2V0cyI6Wzg4LDkyXX0sImkzMiI6eyJkdHlwZSI6IkkzMiIsInNoYXBlIj'
  'pbMl0sImRhdGFfb2Zmc2V0cyI6WzkyLDEwMF19LCJiZjE2Ijp7ImR0eXBlIjoiQkYxNiIs'
  'InNoYXBlIjpbM10sImRhdGFfb2Zmc2V0cyI6WzEwMCwxMDZdfSwiZjE2Ijp7ImR0eXBlIj'
  'oiRjE2Iiwic2hhcGUiOls4XSwiZGF0YV9vZmZzZXRzIjpbMTA2LDEyMl19LCJ1MTYiOnsi'
  'ZHR5cGUiOiJVMTYiLCJzaGFwZSI6WzFdLCJkYXRhX29mZnNldHMiOlsxMjIsMTI0XX0sIm'
  'kxNiI6eyJkdHlwZSI6IkkxNiIsInNoYXBlIjpbMl0sImRhdGFfb2Zmc2V0cyI6WzEyNCwx'
  'MjhdfSwiaTgiOnsiZHR5cGUiOiJJOCIsInNoYXBlIjpbMl0sImRhdGFfb2Zmc2V0cyI6Wz'
  'EyOCwxMzBdfSwidTgiOnsiZHR5cGUiOiJVOCIsInNoYXBlIjpbMSwxLDNdLCJkYXRhX29m'
  'ZnNldHMiOlsxMzAsMTMzXX0sImJvb2wiOnsiZHR5cGUiOiJCT09MIiwic2hhcGUiOlszXS'
  'wiZGF0YV9vZmZzZXRzIjpbMTMzLDEzNl19fSD/////////fwAAAAAAAAAA////////////'
  '//////8fAAAAAAAAAOD/AQAAAAAAAEAAAAAAAAAAgAAAAAAAAPg/AAAAAAAAAsAAAMA/AA'
  'CAfwAAwH8AAGBA/////wAAAID///9/gD9JwH9/ADwAwf97AQAAgAB8AH7/A///AIAFAIB/'
  'AP8HAQAB',
);

/// A file with this header, and so many bytes behind it.
Uint8List _file(String header, int bytes) => Uint8List.fromList([
  ...[for (var i = 0; i < 8; i++) header.length >> (8 * i) & 0xff],
  ...utf8.encode(header),
  ...Uint8List(bytes),
]);

String _entry(String name, String dtype, String shape, int from, int to) =>
    '"$name":{"dtype":"$dtype","shape":$shape,"data_offsets":[$from,$to]}';

/// The tensor of [values], its bytes at an odd address.
Tensor _shifted(Tensor tensor) {
  final room = Uint8List(tensor.bytes.length + 1)..setAll(1, tensor.bytes);
  return Tensor(tensor.dtype, tensor.shape, Uint8List.sublistView(room, 1));
}

void main() {
  final tensors = Tensors.decode(_written);
  Tensor at(String name) => tensors[name]!;

  test('what PyTorch wrote is read', () {
    equal(at('f64').asFloat64List(), [1.5, -2.25]);
    equal(at('f64').asFloat32List(), [1.5, -2.25]);
    equal(at('f64').shape, [1, 2]);
    equal(at('f32').asFloat32List(), [1.5, double.infinity, double.nan]);
    equal(at('f32').asFloat64List(), [1.5, double.infinity, double.nan]);
    equal(at('i32').asInt32List(), [-2147483648, 2147483647]);
    equal(at('i32').asFloat64List(), [-2147483648.0, 2147483647.0]);
    equal(at('i16').asInt32List(), [-32768, 5]);
    equal(at('i8').asFloat32List(), [-128.0, 127.0]);
    equal(at('u8').asFloat32List(), [0.0, 255.0, 7.0]);
    equal(at('u8').shape, [1, 1, 3]);
    equal(at('bool').asInt32List(), [1, 0, 1]);
    equal(at('u32').asIntList(), [4294967295]);
    equal(at('u16').asInt32List(), [65535]);
    equal(at('u64').asIntList(), [9223372036854775807]);
    equal((at('empty').shape, at('empty').length).toString(), '([0, 3], 0)');
    equal(at('empty').asFloat32List(), <double>[]);
    equal(at('scalar').shape, <int>[]);
    equal(at('scalar').asFloat32List(), [3.5]);
    equal(tensors.length, 15);
  });

  test('half and brain floats are widened', () {
    final halves = at('f16').asFloat32List();
    equal(halves.take(4).toList(), [
      1.0,
      -2.5,
      65504.0,
      5.960464477539063e-8, // the smallest there is
    ]);
    check(halves[4] == 0 && halves[4].isNegative);
    equal(halves.skip(5).take(2).toList(), [double.infinity, double.nan]);
    equal(halves[7], 6.097555160522461e-5); // the largest below the normal ones
    equal(at('bf16').asFloat64List().take(2).toList(), [1.0, -3.140625]);
    equal(at('bf16').asFloat32List().last, 3.3895313892515355e38);
  });

  test('integers of 64 bits come whole, and go', () async {
    const values = [
      0,
      -1,
      9007199254740991,
      -9007199254740992,
      4611686018427387905,
      -9223372036854775808,
    ];
    equal(at('i64').asIntList(), values);
    equal(Tensor.int64([6], values).bytes, at('i64').bytes);
    final large = Tensor(DType.uint64, [1], Uint8List(8)..[7] = 0x80);
    await throws<RangeError>(large.asIntList);
    await throws<StateError>(at('i64').asInt32List);
    await throws<StateError>(at('i64').asFloat32List);
    await throws<StateError>(at('i64').asFloat64List);
    await throws<StateError>(at('i32').asFloat32List);
    await throws<StateError>(at('f32').asIntList);
    await throws<StateError>(at('f32').asInt32List);
  });

  test('views are laid over what is aligned, and copies made of the rest', () {
    final values = Float32List.fromList([1, 2, 3]);
    final tensor = Tensor.float32([3], values);
    values[0] = 9;
    equal(tensor.asFloat32List(), [9.0, 2.0, 3.0]);
    for (final tensor in tensors.values) {
      final shifted = _shifted(tensor);
      equal('$shifted', '$tensor');
      switch (tensor.dtype) {
        case DType.float32 || DType.float64 || DType.float16 || DType.bfloat16:
          equal(shifted.asFloat32List(), tensor.asFloat32List(), '$tensor');
          equal(shifted.asFloat64List(), tensor.asFloat64List(), '$tensor');
        default:
          equal(shifted.asIntList(), tensor.asIntList(), '$tensor');
      }
    }
  });

  test('bytes fill the shape, or are refused', () async {
    await throws<ArgumentError>(() => Tensor(DType.int16, [3], Uint8List(5)));
    await throws<RangeError>(() => Tensor(DType.int8, [-1, -1], Uint8List(1)));
    equal(Tensor.uint8([2, 1], Uint8List(2)).toString(), 'Tensor(U8, [2, 1])');
    equal(Tensor.int32([1], Int32List(1)).length, 1);
    equal(Tensor.float64([], Float64List(1)).asFloat32List(), [0.0]);
  });

  test('what is written is read, aligned', () {
    final data = Tensors.encode(tensors);
    final start = 8 + ByteData.sublistView(data).getUint32(0, Endian.little);
    equal(start % 64, 0);
    final read = Tensors.decode(data);
    equal(read.keys.toSet().difference(tensors.keys.toSet()).length, 0);
    for (final MapEntry(:key, value: tensor) in tensors.entries) {
      final back = read[key]!;
      equal((back.dtype, '$back'), (tensor.dtype, '$tensor'));
      equal(back.bytes, tensor.bytes, key);
      check((back.bytes.offsetInBytes - start) % tensor.dtype.size == 0, key);
    }
    equal(Tensors.decode(Tensors.encode({})).length, 0);
  });

  test('tensors travel as a file', () async {
    final file = Tensors.toFile({'x': at('f32')}, name: 'x.safetensors');
    equal(file.name, 'x.safetensors');
    final read = await Tensors.fromFile(file);
    equal(read['x']!.bytes, at('f32').bytes);
    await throws<ArgumentError>(
      () => Tensors.encode({'__metadata__': at('f32')}),
    );
  });

  test('a hostile file is refused', () async {
    final ok = _entry('a', 'F32', '[2]', 0, 8);
    equal(Tensors.decode(_file('{$ok}', 8)).length, 1);
    final hostile = <String, Uint8List>{
      'empty': Uint8List(0),
      'short': Uint8List(7),
      'no header': Uint8List(8),
      'header longer than the file': Uint8List(9)..[0] = 2,
      'header of 2^32': _file('{$ok}', 8)..[4] = 1,
      'header of 2^63': _file('{$ok}', 8)..[7] = 0x80,
      'no JSON': _file('{$ok', 8),
      'no object': _file('[$ok]', 8),
      'blank first': _file(' {$ok}', 8),
      'no UTF-8': _file('{$ok}', 8)..[10] = 0xff,
      'too many bytes': _file('{$ok}', 9),
      'too few': _file('{$ok}', 7),
      'no object for a tensor': _file('{"a":1}', 0),
      'unknown dtype': _file('{${_entry('a', 'F4', '[2]', 0, 1)}}', 1),
      'dtype is a number': _file(
        '{"a":{"dtype":1,"shape":[2],"data_offsets":[0,8]}}',
        8,
      ),
      'no offsets': _file('{"a":{"dtype":"F32","shape":[2]}}', 8),
      'one offset': _file(
        '{"a":{"dtype":"F32","shape":[2],"data_offsets":[8]}}',
        8,
      ),
      'shape and bytes': _file('{${_entry('a', 'F32', '[3]', 0, 8)}}', 8),
      'negative sizes': _file('{${_entry('a', 'U8', '[-2,-4]', 0, 8)}}', 8),
      'a product that wraps to 8': _file(
        '{${_entry('a', 'F32', '[4294967296,4294967296,2]', 0, 0)}}',
        0,
      ),
      'another that wraps': _file(
        '{${_entry('a', 'U8', '[9223372036854775807,2,9]', 0, 8)}}',
        8,
      ),
      'a size beyond 64 bits': _file(
        '{${_entry('a', 'U8', '[0,18446744073709551616]', 0, 0)}}',
        0,
      ),
      '65 dimensions': _file(
        '{${_entry('a', 'U8', '${List.filled(65, 1)}', 0, 1)}}',
        1,
      ),
      'negative start': _file('{${_entry('a', 'F32', '[2]', -8, 0)}}', 8),
      'end before start': _file('{${_entry('a', 'F32', '[0]', 8, 0)}}', 8),
      'end behind the end': _file('{${_entry('a', 'F32', '[4]', 0, 16)}}', 8),
      'overlap': _file('{$ok,${_entry('b', 'F32', '[2]', 4, 12)}}', 12),
      'the same bytes twice': _file(
        '{$ok,${_entry('b', 'F32', '[2]', 0, 8)}}',
        8,
      ),
      'hole': _file('{$ok,${_entry('b', 'F32', '[2]', 12, 20)}}', 20),
      'hole before the first': _file(
        '{${_entry('a', 'F32', '[2]', 4, 12)}}',
        12,
      ),
      'a name twice': _file('{$ok,${_entry('a', 'F32', '[2]', 8, 16)}}', 16),
    };
    for (final MapEntry(key: name, value: data) in hostile.entries) {
      try {
        Tensors.decode(data);
      } on DecodeException {
        continue;
      }
      throw Failure('$name was not refused');
    }
  });

  test('any cut and any flipped byte ends in a DecodeException or tensors', () {
    for (var cut = 0; cut < _written.length; cut += 3) {
      try {
        Tensors.decode(Uint8List.sublistView(_written, 0, cut));
        throw Failure('cut at $cut was not refused');
      } on DecodeException {
        continue;
      }
    }
    for (var i = 0; i < _written.length; i++) {
      final data = Uint8List.fromList(_written)..[i] ^= 1 << i % 8;
      try {
        Tensors.decode(data);
      } on DecodeException {
        continue;
      }
    }
  });

  test('an error names the tensor', () async {
    final error = await throws<DecodeException>(
      () => Tensors.decode(_file('{"w":{"dtype":"F32","shape":["x"]}}', 0)),
    );
    equal(error.path, 'w.shape[0]');
  });

  run();
}
