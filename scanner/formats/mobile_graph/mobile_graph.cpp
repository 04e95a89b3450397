// Graphs of mobile runtimes: ncnn's .param and TNN's .tnnproto (text), MNN (a flatbuffer without an
// identifier). See README.md.
#include "scanner/core/flatbuffer.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <string>

namespace hubgate {
namespace {

constexpr std::string_view k_ncnn = "7767517\n";
constexpr std::uint64_t k_max_text = std::uint64_t{64} << 20;
constexpr std::size_t k_max_line = std::size_t{1} << 20;

constexpr std::array<Rule, 2> k_rules{{
    {"mobile-graph-count", "structure", Severity::suspicious, Reach::load, "CWE-129", "AML.T0029",
     "RTF-020", "a count or index of the graph can't be true, which has broken readers before"},
    {"mobile-graph-plugin", "unknown-call", Severity::suspicious, Reach::load, "CWE-829",
     "AML.T0011.000", "RTF-020", "a layer that the runtime must get from a plug-in"},
}};
const Rule& k_count = k_rules[0];
const Rule& k_plugin = k_rules[1];

std::vector<std::string_view> words_of(std::string_view line, std::size_t most) {
  std::vector<std::string_view> out;
  for (std::size_t at = 0; at < line.size() && out.size() < most;) {
    while (at < line.size() && (line[at] == ' ' || line[at] == '\t' || line[at] == '\r'))
      ++at;
    const std::size_t begin = at;
    while (at < line.size() && line[at] != ' ' && line[at] != '\t' && line[at] != '\r')
      ++at;
    if (at > begin) out.push_back(line.substr(begin, at - begin));
  }
  return out;
}

std::optional<std::int64_t> number(std::string_view word) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

// The lines of a text, one at a time.
class Lines {
public:
  explicit Lines(Source& source) : source_(source) {}
  bool next(std::string& line) {
    line.clear();
    for (;;) {
      const Bytes piece = source_.view(at_, std::size_t{16} << 10);
      if (piece.empty()) return !line.empty();
      const std::string_view text = as_text(piece);
      const auto end = text.find('\n');
      line += text.substr(0, end);
      at_ += end == std::string_view::npos ? text.size() : end + 1;
      if (end != std::string_view::npos) return true;
      if (line.size() > k_max_line) return false;
    }
  }
  std::uint64_t position() const { return at_; }

private:
  Source& source_;
  std::uint64_t at_ = 0;
};

Reading broken(Session& session, std::uint64_t at, std::string_view why) {
  session.find(k_count, at, 0, why);
  session.gap(Reason::malformed, Reach::load, at, "the graph can't be read to its end");
  return Reading::broken;
}

// 7767517, "layers blobs", then "Type name inputs outputs in… out… key=value…".
Reading ncnn(Source& source, Session& session) {
  Lines lines(source);
  std::string line;
  lines.next(line);
  if (!lines.next(line)) return Reading::none;
  const auto counts = words_of(line, 4);
  if (counts.size() != 2) return Reading::none;
  const auto layers = number(counts[0]);
  const auto blobs = number(counts[1]);
  if (!layers || !blobs) return Reading::none;
  if (*layers <= 0 || *blobs <= 0 || *layers > (1 << 24) || *blobs > (1 << 24))
    return broken(session, 8, line);
  std::int64_t seen = 0;
  while (lines.next(line)) {
    if (lines.position() > k_max_text) return broken(session, lines.position(), "too much text");
    const auto words = words_of(line, 65536);
    if (words.empty()) continue;
    if (++seen > *layers) return broken(session, lines.position(), "more layers than it says");
    const auto inputs = words.size() > 3 ? number(words[2]) : std::nullopt;
    const auto outputs = words.size() > 3 ? number(words[3]) : std::nullopt;
    if (!inputs || !outputs || *inputs < 0 || *outputs < 0 ||
        static_cast<std::uint64_t>(*inputs) > words.size() - 4 ||
        static_cast<std::uint64_t>(*outputs) >
            words.size() - 4 - static_cast<std::uint64_t>(*inputs))
      return broken(session, lines.position(),
                    "a layer's inputs and outputs: " + line.substr(0, 200));
    for (std::size_t i = 4 + static_cast<std::size_t>(*inputs + *outputs); i < words.size(); ++i) {
      const auto equals = words[i].find('=');
      const auto key =
          equals == std::string_view::npos ? std::nullopt : number(words[i].substr(0, equals));
      // Keys are indices into an array of 32; arrays have -23300 - key and begin with their length.
      const bool array = key && *key <= -23300;
      const std::int64_t index = !key ? -1 : array ? -23300 - *key : *key;
      if (index < 0 || index >= 32)
        return broken(session, lines.position(),
                      "the parameter " + std::string(words[i].substr(0, 100)));
      if (!array) continue;
      const std::string_view value = words[i].substr(equals + 1);
      const auto length = number(value.substr(0, value.find(',')));
      const auto there = std::count(value.begin(), value.end(), ',');
      if (!length || *length < 0 || *length > there)
        return broken(session, lines.position(),
                      "the array " + std::string(words[i].substr(0, 100)));
    }
  }
  if (seen == *layers) return Reading::valid;
  return broken(session, lines.position(),
                std::to_string(seen) + " layers of " + std::to_string(*layers));
}

// "1 layers 1 4206624770 ,", inputs, blobs, outputs, "layers ,", then one layer a line, in quotes.
Reading tnn(Source& source, Session& session) {
  Lines lines(source);
  std::string line;
  std::int64_t wanted = -1;
  std::int64_t seen = 0;
  for (int count = 0; lines.next(line); ++count) {
    line.erase(std::remove(line.begin(), line.end(), '"'), line.end());
    while (!line.empty() && (line.back() == ',' || line.back() == ' ' || line.back() == '\r'))
      line.pop_back();
    const auto words = words_of(line, 65536);
    if (words.empty()) continue;
    if (count == 4) {
      wanted = words.size() == 1 ? number(words[0]).value_or(-1) : -1;
      if (wanted < 0 || wanted > (1 << 24)) return broken(session, lines.position(), line);
    }
    if (count <= 4) continue;
    ++seen;
    const auto inputs = words.size() > 3 ? number(words[2]) : std::nullopt;
    const auto outputs = words.size() > 3 ? number(words[3]) : std::nullopt;
    if (!inputs || !outputs || *inputs < 0 || *outputs < 0 ||
        static_cast<std::uint64_t>(*inputs) > words.size() - 4 ||
        static_cast<std::uint64_t>(*outputs) >
            words.size() - 4 - static_cast<std::uint64_t>(*inputs))
      return broken(session, lines.position(),
                    "a layer's inputs and outputs: " + line.substr(0, 200));
  }
  return seen == wanted ? Reading::valid
                        : broken(session, lines.position(),
                                 std::to_string(seen) + " layers of " + std::to_string(wanted));
}

// Net: 2 extraInfo, 3 oplists, 4 outputName, 7 tensorName, 8 tensorNumber, 10 subgraphs. Op: 0
// inputIndexes, 1 and 2 main, 3 name, 4 outputIndexes, 5 type.
Reading mnn(Source& source, Session& session) {
  constexpr std::int32_t k_type_plugin = 256;
  constexpr std::int32_t k_type_extra = 512;
  const std::uint64_t size = source.wait_end();
  Flatbuffer flat(source, 0, size, std::uint64_t{16} << 20);
  const auto net = flat.root();
  const auto ops = net ? flat.vector(*net, 3, 4) : std::nullopt;
  const auto names = net ? flat.vector(*net, 7, 4) : std::nullopt;
  if (!ops || ops->count == 0 || !names || names->count == 0) return Reading::none;
  const std::string first = flat.string_at(*names, 0, 512).value_or("");
  const bool named = !first.empty() && std::all_of(first.begin(), first.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
  });
  if (!named) return Reading::none;
  const std::int64_t tensors =
      std::max<std::int64_t>(flat.number<std::int32_t>(*net, 8, 0), names->count);
  bool wrong = false;
  std::set<std::string> said;
  for (std::uint32_t i = 0; i < ops->count && flat.failure() == FlatFailure::none; ++i) {
    const auto op = flat.table_at(*ops, i);
    if (!op) break;
    const auto outputs = flat.vector(*op, 4, 4);
    const std::string name = flat.string(*op, 3, 256).value_or("");
    // Without these it was some other flatbuffer.
    if (i == 0 && (!outputs || outputs->count == 0 || flat.failure() != FlatFailure::none))
      return Reading::none;
    for (const std::uint16_t id: {std::uint16_t{0}, std::uint16_t{4}}) {
      const auto list = flat.vector(*op, id, 4);
      for (std::uint32_t k = 0; list && k < list->count && flat.failure() == FlatFailure::none;
           ++k) {
        const auto index = flat.number_at<std::int32_t>(*list, k).value_or(0);
        if ((index >= 0 && index < tensors) || (id == 0 && index == -1) || wrong) continue;
        wrong = true;
        session.find(k_count, 0, 0,
                     "the operator " + name + " names tensor " + std::to_string(index) + " of " +
                         std::to_string(tensors));
      }
    }
    const auto type = flat.number<std::int32_t>(*op, 5, 0);
    if ((type == k_type_plugin || type == k_type_extra) && said.insert(name).second)
      session.find(k_plugin, 0, 0, "the operator " + name);
    if (i % 4096 == 4095 && !session.budget().time_left()) {
      session.gap(Reason::budget, Reach::load, 0, "out of time");
      return Reading::broken;
    }
  }
  if (flat.failure() == FlatFailure::none) return Reading::valid;
  return broken(session, flat.failed_at(), "an offset leads out of the file");
}

// Flatbuffers of this kind have nothing to know them by: the root's offset and its vtable.
bool may_be_mnn(const Probe& probe) {
  if (probe.tail.empty() || probe.size < 64 || probe.head.size() < 64) return false;
  // With an identifier it is somebody else's.
  const auto is_letter = [](std::uint8_t c) { return c >= 0x20 && c < 0x7f; };
  if (std::all_of(probe.head.begin() + 4, probe.head.begin() + 8, is_letter)) return false;
  MemorySource head(probe.head);
  Flatbuffer flat(head, 0, probe.size);
  const auto root = flat.root();
  return root && root->slots >= 8 && root->slots <= 16 && root->size <= 128 && root->vtable < 256 &&
         flat.failure() == FlatFailure::none && flat.has(*root, 3) && flat.has(*root, 7);
}

bool is_tnn(Bytes head) {
  const std::string_view text = as_text(head);
  const std::string_view line = text.substr(0, std::min<std::size_t>(text.find('\n'), 80));
  return line.starts_with('"') && line.find(" 42066247") != std::string_view::npos;
}

Claim probe(const Probe& probe) {
  if (starts_with(probe.head, k_ncnn) || starts_with(probe.head, "7767517\r\n") ||
      is_tnn(probe.head))
    return Claim::yes;
  return may_be_mnn(probe) ? Claim::maybe : Claim::no;
}

Reading scan(Source& source, Session& session) {
  const Bytes head = source.view(0, 128);
  if (starts_with(head, "7767517")) return ncnn(source, session);
  if (is_tnn(head)) return tnn(source, session);
  return mnn(source, session);
}

} // namespace

extern const Format format_mobile_graph;
const Format format_mobile_graph{"mobile_graph", "mobile_graph", probe, scan, k_rules};

} // namespace hubgate
