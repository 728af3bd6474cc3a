import 'errors.dart';
import 'json.dart';

/// Which side sends one message and which a stream of them.
enum Cardinality {
  /// One message, one answer.
  unary,

  /// One message, a stream of answers.
  serverStream,

  /// A stream of messages, one answer.
  clientStream,

  /// Streams both ways.
  duplex,
}

/// How a value stands in a form or a query.
enum FormKind {
  /// As text: strings, numbers, booleans, dates.
  text,

  /// As JSON: messages, maps, lists of lists.
  json,

  /// As a file.
  file,
}

/// A field of a message that goes as a form (it has files) or as a query.
final class FormField {
  /// A field that is called [name] on the wire.
  const FormField(
    this.name,
    this.kind, {
    this.isList = false,
    this.nullIsAbsent = false,
    this.nullIsEmpty = false,
    this.emptyIsAbsent = false,
  });

  /// The name of the part or parameter.
  final String name;

  /// How each value is written.
  final FormKind kind;

  /// Whether it is a list whose items stand one by one, under the same name.
  final bool isList;

  /// Whether to leave it out says the same as null.
  final bool nullIsAbsent;

  /// Whether an empty text says null.
  final bool nullIsEmpty;

  /// Whether to leave it out says the same as an empty list.
  final bool emptyIsAbsent;
}

/// What a generated package knows of its service.
final class ServiceContract {
  /// The contract of the service [name].
  const ServiceContract({
    required this.name,
    required this.hash,
    required this.command,
  });

  /// The service's name on the server.
  final String name;

  /// `sha256:…` of the contract that the package was made from.
  final String hash;

  /// The command that makes the package anew.
  final String command;
}

/// A method of a service: where it is served, and how its messages are
/// written and read. Generated packages list theirs in `…Methods`.
final class Method<I, O> {
  /// A method; see the fields.
  const Method({
    required this.contract,
    required this.name,
    required this.cardinality,
    required this.verb,
    required this.path,
    required this.encode,
    required this.decode,
    this.form,
    this.parameter,
    this.isFile = false,
    this.errors = const {},
  });

  /// The service that it belongs to.
  final ServiceContract contract;

  /// Its name in the contract: `analyze`.
  final String name;

  /// Which side streams.
  final Cardinality cardinality;

  /// The verb of HTTP: `POST`.
  final String verb;

  /// The path: `/sentiment/analyze`.
  final String path;

  /// A message as JSON values, in which each file is a [FileData]; [absent]
  /// where there is nothing to send.
  final Object? Function(I message) encode;

  /// The answer, or an item, out of JSON values; out of a [FileData] where
  /// [isFile]. Throws [DecodeException].
  final Decoder<O> decode;

  /// The fields of a message that goes as a form or as a query; null: as JSON.
  final List<FormField>? form;

  /// The name of the one parameter, where the message is no object but a bare
  /// value; it is the form field's name.
  final String? parameter;

  /// Whether the answer (an item) is a file and not JSON.
  final bool isFile;

  /// The declared errors by their `type`.
  final Map<String, ApiException Function(Problem problem)> errors;

  /// `Sentiment.analyze`.
  String get qualifiedName => '${contract.name}.$name';
}

/// Stands for a message that is not there: the server takes its default.
const Object absent = _Absent();

final class _Absent {
  const _Absent();
}
