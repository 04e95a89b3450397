#include "scanner/formats/tensorflow/companions.hpp"

#include "scanner/core/textproto.hpp"
#include "scanner/formats/tensorflow/paths.hpp"
#include "scanner/formats/tensorflow/scan.hpp"

#include <algorithm>

namespace hubgate::tensorflow {
namespace {

constexpr std::uint64_t k_max_fingerprint = 1024;
constexpr std::size_t k_max_path = 4096;
constexpr std::size_t k_max_metadata = std::size_t{16} << 20;

// FingerprintDef: 1 to 5 hashes, 6 version, 7 uuid. Hashes alone would be any five numbers.
bool is_fingerprint(ProtoReader reader) {
  ProtoField field;
  std::uint32_t hashes = 0;
  bool version = false;
  while (reader.next(field)) {
    if (field.number >= 1 && field.number <= 5 && field.wire == ProtoWire::varint) {
      ++hashes;
    } else if (field.is_bytes(6) && field.size() <= 16) {
      version = true;
    } else if (field.is_bytes(7)) {
      const std::string uuid = reader.text(field, 64);
      if (!std::all_of(uuid.begin(), uuid.end(), [](char c) { return c >= '0' && c <= '9'; }))
        return false;
    } else {
      return false;
    }
  }
  return reader.failure() == ProtoFailure::none && hashes >= 3 && version;
}

// SavedMetadata: 1 nodes {2 node_id, 3 node_path, 4 identifier, 5 metadata, 6 version}.
bool is_keras_metadata(ProtoReader reader) {
  ProtoField field;
  while (reader.next(field)) {
    if (!field.is_bytes(1)) continue;
    ProtoReader node = reader.inside(field);
    ProtoField part;
    bool keras = false;
    bool json = false;
    while (node.next(part)) {
      keras = keras || (part.is_bytes(4) && node.text(part, 4) == "_tf_");
      json = json || (part.is_bytes(5) && node.text(part, 1) == "{");
    }
    if (keras && json) return true;
  }
  return false;
}

Reading keras_metadata(ProtoReader reader, ProtoInput& input, Session& session) {
  ProtoField field;
  ProtoFailure failure = ProtoFailure::none;
  while (reader.next(field)) {
    if (!field.is_bytes(1)) continue;
    ProtoReader node = reader.inside(field);
    ProtoField part;
    std::string path = "node";
    std::vector<ProtoField> documents;
    while (node.next(part)) {
      if (part.is_bytes(3)) path = node.text(part, 256);
      if (part.is_bytes(5) && documents.size() < 16) documents.push_back(part);
    }
    for (const auto& document: documents)
      scan_keras_metadata(session, input.source(), document.begin, document.size(), path);
    if (failure == ProtoFailure::none) failure = node.failure();
  }
  if (failure == ProtoFailure::none) failure = reader.failure();
  if (failure == ProtoFailure::none) return Reading::valid;
  session.gap(failure == ProtoFailure::truncated ? Reason::truncated : Reason::malformed,
              Reach::load, reader.position(), "the Keras metadata can't be read to its end");
  return Reading::broken;
}

} // namespace

void scan_keras_metadata(Session& session, Source& source, std::uint64_t begin, std::uint64_t size,
                         std::string_view name) {
  SubSource document(source, begin, size);
  std::string text;
  while (text.size() < std::min<std::uint64_t>(size, k_max_metadata)) {
    const Bytes piece = document.view(text.size(), std::size_t{1} << 16);
    if (piece.empty()) break;
    text += as_text(piece);
  }
  // Blanks are the writer's to choose.
  std::string tight;
  std::copy_if(text.begin(), text.end(), std::back_inserter(tight),
               [](char c) { return c != ' ' && c != '\n' && c != '\t' && c != '\r'; });
  const bool lambda = tight.find("\"function_type\":\"lambda\"") != std::string::npos ||
                      tight.find("\"class_name\":\"__lambda__\"") != std::string::npos ||
                      (tight.find("\"class_name\":\"Lambda\"") != std::string::npos &&
                       tight.find("\"__tuple__\"") != std::string::npos);
  if (lambda)
    session.find(k_keras_lambda, begin, size, std::string(name) + ": " + text.substr(0, 200));
  session.embedded(name, document);
}

Reading scan_companion(ProtoInput& input, Session& session, std::uint64_t end) {
  if (is_keras_metadata(ProtoReader(input, 0, end)))
    return keras_metadata(ProtoReader(input, 0, end), input, session);
  if (end <= k_max_fingerprint && is_fingerprint(ProtoReader(input, 0, end))) return Reading::valid;
  return Reading::none;
}

bool is_checkpoint_field(std::string_view name) {
  return name == "model_checkpoint_path" || name == "all_model_checkpoint_paths" ||
         name == "all_model_checkpoint_timestamps" || name == "last_preserved_timestamp";
}

Reading scan_checkpoint_state(Source& source, Session& session, std::uint64_t end) {
  TextProtoReader reader(source, 0, end, k_max_path);
  for (;;) {
    const TextProtoEvent event = reader.next();
    if (event == TextProtoEvent::end) return Reading::valid;
    if (event != TextProtoEvent::scalar || !is_checkpoint_field(reader.name())) break;
    if (!reader.quoted()) continue;
    // A training run's own absolute path is what older versions wrote.
    const PathKind kind = kind_of(reader.text());
    if (kind != PathKind::relative)
      session.find(k_checkpoint_path, reader.offset(), 0, reader.name() + ": " + reader.text(),
                   {.severity = kind == PathKind::absolute || reader.text().starts_with('/')
                                    ? Severity::informational
                                    : Severity::suspicious});
    else
      session.refer("file", reader.offset(), reader.text() + ".index");
  }
  // Text that begins alike.
  return Reading::none;
}

} // namespace hubgate::tensorflow
