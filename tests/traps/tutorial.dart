// The tutorial's three service classes, as it has them, over a stand-in for the few names of
// package:http that they use (same bytes on the wire: see test_tutorial_dart.py). Prints one JSON
// line for each result.  dart tutorial.dart http://127.0.0.1:5000 photo.jpg
import 'dart:async';
import 'dart:convert';
import 'dart:io';
import 'dart:math';

// Scenario 1

class SentimentService {
  SentimentService(this.baseUrl);
  final String baseUrl;

  Future<double?> analyze(String text) async {
    final response = await post(
      Uri.parse('$baseUrl/analyze'),
      headers: {'Content-Type': 'application/json'},
      body: jsonEncode({'text': text}),
    );
    if (response.statusCode == 200) {
      final decoded = jsonDecode(response.body);
      return decoded['score'];
    }
    return null;
  }
}

// Scenario 2

class ImageService {
  ImageService(this.baseUrl);
  final String baseUrl;

  Future<int?> classify(File image) async {
    final request = MultipartRequest('POST', Uri.parse('$baseUrl/classify'));
    request.files.add(await MultipartFile.fromPath('file', image.path));
    final streamed = await request.send();
    if (streamed.statusCode == 200) {
      final body = await streamed.stream.bytesToString();
      final decoded = jsonDecode(body);
      return decoded['predicted_class'];
    }
    return null;
  }
}

// Scenario 3

class NumberService {
  NumberService(this.baseUrl);
  final String baseUrl;

  Stream<int> stream(int count) async* {
    final client = Client();
    final request = Request('GET', Uri.parse('$baseUrl/stream_numbers?count=$count'));
    final response = await client.send(request);
    if (response.statusCode == 200) {
      await for (final chunk in response.stream.transform(utf8.decoder)) {
        for (final line in chunk.split('\n')) {
          if (line.trim().isNotEmpty) yield int.parse(line.trim());
        }
      }
    }
    client.close();
  }

  // As it ought to be.
  Stream<int> lines(int count) async* {
    final client = Client();
    final request = Request('GET', Uri.parse('$baseUrl/stream_numbers?count=$count'));
    final response = await client.send(request);
    yield* response.stream
        .transform(utf8.decoder)
        .transform(const LineSplitter())
        .map(int.parse);
    client.close();
  }
}

Future<void> main(List<String> arguments) async {
  final base = arguments[0];
  void show(String name, Object? value) => print(jsonEncode({'name': name, 'value': value}));

  final texts = SentimentService(base);
  for (final text in ['I love Flutter', 'A dull mess. \u{1F98B} \u00fc "quoted"']) {
    final double? score = await texts.analyze(text);
    show('score', score);
  }
  show('refused', await texts.analyze(''));

  final int? found = await ImageService(base).classify(File(arguments[1]));
  show('predicted_class', found);
  show('not a picture', await ImageService(base).classify(File(Platform.script.toFilePath())));

  final watch = Stopwatch()..start();
  final times = <int>[];
  final numbers = <int>[];
  await for (final number in NumberService(base).stream(10)) {
    numbers.add(number);
    times.add(watch.elapsedMilliseconds);
  }
  show('naive', numbers);
  show('milliseconds', times);
  show('lines', await NumberService(base).lines(12).toList());
  show('first of many', await NumberService(base).stream(10000).first);

  // What the tutorial leaves open (a body that is not drained, a client that is not closed) would
  // keep the program running.
  await stdout.flush();
  exit(0);
}

// package:http 1.x, as far as the tutorial uses it

class Response {
  Response(this.statusCode, this.body);
  final int statusCode;
  final String body;
}

class StreamedResponse {
  StreamedResponse(this.statusCode, this.stream);
  final int statusCode;
  final Stream<List<int>> stream;
}

extension on Stream<List<int>> {
  Future<String> bytesToString() => transform(utf8.decoder).join();
}

class Request {
  Request(this.method, this.url);
  final String method;
  final Uri url;
}

class Client {
  final _inner = HttpClient();

  Future<StreamedResponse> send(Request request) =>
      _send(_inner, request.method, request.url, const {}, const Stream.empty(), 0);

  void close() => _inner.close(force: true);
}

Future<StreamedResponse> _send(HttpClient client, String method, Uri url,
    Map<String, String> headers, Stream<List<int>> body, int length) async {
  final request = (await client.openUrl(method, url))
    ..followRedirects = true
    ..maxRedirects = 5
    ..contentLength = length
    ..persistentConnection = true;
  headers.forEach((name, value) => request.headers.set(name, value));
  await request.addStream(body);
  final response = await request.close();
  return StreamedResponse(response.statusCode, response);
}

Future<Response> post(Uri url, {required Map<String, String> headers, required String body}) async {
  final client = HttpClient();
  final bytes = utf8.encode(body);
  // Before 1.6 the package added the charset to every content type.
  final sent = {...headers, 'Content-Type': '${headers['Content-Type']}; charset=utf-8'};
  final answer = await _send(client, 'POST', url, sent, Stream.value(bytes), bytes.length);
  final response = Response(answer.statusCode, await answer.stream.bytesToString());
  client.close();
  return response;
}

class MultipartFile {
  MultipartFile(this.field, this.data, this.filename);
  final String field;
  final List<int> data;
  final String filename;

  static Future<MultipartFile> fromPath(String field, String path) async =>
      MultipartFile(field, await File(path).readAsBytes(), path.split('/').last);
}

class MultipartRequest {
  MultipartRequest(this.method, this.url);
  final String method;
  final Uri url;
  final fields = <String, String>{};
  final files = <MultipartFile>[];

  static const _characters =
      '+_-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

  Future<StreamedResponse> send() {
    final random = Random();
    final tail = List.generate(51, (_) => _characters[random.nextInt(_characters.length)]).join();
    final boundary = 'dart-http-boundary-$tail';
    final body = BytesBuilder();
    for (final field in fields.entries) {
      body.add(utf8.encode('--$boundary\r\n'
          'content-disposition: form-data; name="${field.key}"\r\n\r\n${field.value}\r\n'));
    }
    for (final file in files) {
      body.add(utf8.encode('--$boundary\r\ncontent-type: application/octet-stream\r\n'
          'content-disposition: form-data; name="${file.field}"; filename="${file.filename}"'
          '\r\n\r\n'));
      body.add(file.data);
      body.add(utf8.encode('\r\n'));
    }
    body.add(utf8.encode('--$boundary--\r\n'));
    final bytes = body.toBytes();
    final headers = {'content-type': 'multipart/form-data; boundary=$boundary'};
    return _send(HttpClient()..idleTimeout = Duration.zero, method, url, headers,
        Stream.value(bytes), bytes.length);
  }
}
