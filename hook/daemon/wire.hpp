#pragma once
// Wire: what hook and daemon say to each other. Each message is one datagram of a SOCK_SEQPACKET
// socket: a header, then the payload, or, when it is long, a sealed memory file with it as the
// first descriptor. Integers are little-endian, texts and lists have their length in front. Both
// sides take what the other says for data: everything is bounded by the message that it comes in.
// See README.md for the table of messages.
#include "policy/judge/authority.hpp"
#include "scanner/core/reader.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::daemon {

/// Raised with every change of what is said.
inline constexpr std::uint32_t k_protocol = 1;

enum class Type : std::uint8_t {
  hello = 1,  ///< Hello; answer: Welcome
  batch,      ///< items; descriptor: memory; answer: analyses
  file,       ///< descriptor: the file; answer: one analysis
  code,       ///< milliseconds; descriptor: memory; answer: a report
  known,      ///< object keys; answer: reports, or none
  decide,     ///< cases; answer: decisions
  quarantine, ///< id of a decision of this connection; descriptor: the bytes
  event,      ///< name, JSON object
  judged,     ///< object id, terms; answer: a flag
  tree,       ///< object id; answer: a report, or none
  remember,   ///< tree verdicts, judgements
  done = 64,  ///< the answer to what had this id
  failed,     ///< text: why there is none
};

struct Header {
  static constexpr std::size_t k_size = 14;
  Type type = Type::hello;
  bool long_payload = false; ///< it is in the first descriptor
  bool attached = false;     ///< a descriptor comes with it (behind that of the payload)
  std::uint32_t id = 0;      ///< chosen by who asks
  std::uint64_t length = 0;  ///< of the payload
};
std::vector<std::uint8_t> header_bytes(const Header& header);
/// Reads what is in front of a datagram; nothing when it is no message, or its payload's length is
/// not what it says.
std::optional<Header> read_header(Bytes datagram);

/// A datagram with its header at most.
inline constexpr std::size_t k_max_datagram = std::size_t{60} << 10;
/// Longest payload of a question, and of an answer, in bytes.
inline constexpr std::uint64_t k_max_question = std::uint64_t{32} << 20;
inline constexpr std::uint64_t k_max_answer = std::uint64_t{256} << 20;
inline constexpr std::size_t k_max_items = 4096;
/// Memory of one batch, or of one tree's code.
inline constexpr std::uint64_t k_max_memory = (std::uint64_t{256} << 20) + (std::uint64_t{8} << 20);

/// Builds a payload.
class Out {
public:
  Out& u8(std::uint8_t value) { return number(value, 1); }
  Out& u32(std::uint32_t value) { return number(value, 4); }
  Out& u64(std::uint64_t value) { return number(value, 8); }
  Out& raw(Bytes bytes);
  Out& text(std::string_view value);
  Out& texts(const std::vector<std::string>& values);
  const std::vector<std::uint8_t>& bytes() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }

private:
  Out& number(std::uint64_t value, int bytes);
  std::vector<std::uint8_t> bytes_;
};

// Each get() reads what its put() writes; nothing when that is not there.

void put(Out& out, const Report& report);
std::optional<Report> get_report(Reader& in);

void put(Out& out, const Analysis& analysis); ///< without the blocks of the digest
std::optional<Analysis> get_analysis(Reader& in);

void put(Out& out, const Context& context);
std::optional<Context> get_context(Reader& in);

void put(Out& out, const Decision& decision);
std::optional<Decision> get_decision(Reader& in);

void put(Out& out, const ObjectKey& key);
std::optional<ObjectKey> get_key(Reader& in);

void put(Out& out, const git::Oid& oid);
std::optional<git::Oid> get_oid(Reader& in);

std::optional<std::string> get_text(Reader& in);

/// Who asks, for which repository.
struct Hello {
  std::uint32_t protocol = k_protocol;
  std::string engine; ///< engine_version(): another one judges otherwise
  std::string repo;
  std::string git_dir; ///< canonical path
};
void put(Out& out, const Hello& hello);
std::optional<Hello> get_hello(Reader& in);

/// Who answers.
struct Welcome {
  std::string policy_name; ///< a preset or file
  std::string policy;      ///< the file's text, "" for a preset
};
void put(Out& out, const Welcome& welcome);
std::optional<Welcome> get_welcome(Reader& in);

/// A number, then that many of what `get` reads. Nothing when there are fewer, or more than `most`.
template <typename Get>
auto get_list(Reader& in, std::size_t most, Get get)
    -> std::optional<std::vector<typename decltype(get(in))::value_type>> {
  std::vector<typename decltype(get(in))::value_type> out;
  const auto count = in.le<std::uint32_t>();
  if (!count || *count > most || !in.can_hold(*count, 1)) return std::nullopt;
  for (std::uint32_t i = 0; i < *count; ++i) {
    auto one = get(in);
    if (!one) return std::nullopt;
    out.push_back(std::move(*one));
  }
  return out;
}

/// Ranges of a memory file, for Type::batch. Nothing when one lies outside of `size` bytes.
void put(Out& out, const std::vector<BatchItem>& items);
std::optional<std::vector<BatchItem>> get_items(Reader& in, std::uint64_t size);

} // namespace hubgate::daemon
