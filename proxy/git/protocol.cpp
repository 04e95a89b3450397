#include "proxy/git/protocol.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <span>

namespace hubgate::proxy {

namespace {

constexpr std::size_t k_updates_max = 100'000;
constexpr std::size_t k_head_max = std::size_t{32} << 20;

using Words = std::vector<std::string>;

// A name in `names` that ends in '=' stands for all of its values.
bool listed(std::string_view word, std::span<const std::string_view> names) {
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
    return name.ends_with('=') ? word.starts_with(name) : word == name;
  });
}

constexpr auto k_upload_pack = std::to_array<std::string_view>(
    {"multi_ack", "multi_ack_detailed", "no-done", "side-band", "side-band-64k", "ofs-delta",
     "shallow", "deepen-since", "deepen-not", "deepen-relative", "no-progress", "include-tag",
     "allow-tip-sha1-in-want", "allow-reachable-sha1-in-want", "filter",
     "symref=", "object-format=", "agent="});
constexpr auto k_receive_pack = std::to_array<std::string_view>(
    {"report-status", "report-status-v2", "delete-refs", "quiet", "atomic", "ofs-delta",
     "side-band-64k", "push-options", "object-format=", "agent=", "no-thin"});
constexpr auto k_second_version = std::to_array<std::string_view>(
    {"agent=", "ls-refs", "ls-refs=", "server-option", "object-format="});
constexpr auto k_fetch_features =
    std::to_array<std::string_view>({"shallow", "wait-for-done", "filter"});
constexpr auto k_fetch_words = std::to_array<std::string_view>(
    {"done", "no-progress", "include-tag", "ofs-delta", "deepen-relative", "wait-for-done"});
constexpr auto k_fetch_values = std::to_array<std::string_view>(
    {"want ", "have ", "shallow ", "deepen ", "deepen-since ", "deepen-not ", "filter "});
/// What a client may say and what is left out of what is sent on.
constexpr auto k_left_out = std::to_array<std::string_view>({"thin-pack", "session-id="});

Words words_of(std::string_view text) {
  Words out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end != 0) out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string_view without_newline(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  return line;
}

bool starts_with_any(std::string_view line, std::span<const std::string_view> names) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view name) { return line.starts_with(name); });
}

// The line with its list of capabilities behind the NUL cut down to what passes.
std::string with_capabilities(std::string_view line, GitService service) {
  const std::size_t nul = line.find('\0');
  std::string out(line.substr(0, nul));
  out += '\0';
  bool no_thin = false;
  const auto& names = service == GitService::upload_pack
                          ? std::span<const std::string_view>(k_upload_pack)
                          : std::span<const std::string_view>(k_receive_pack);
  for (const auto& word: words_of(line.substr(nul + 1))) {
    if (!listed(word, names)) continue;
    no_thin = no_thin || word == "no-thin";
    out += ' ';
    out += word;
  }
  if (service == GitService::receive_pack && !no_thin) out += " no-thin";
  return out + "\n";
}

// One line of the list of version 2; nothing: it does not pass.
std::optional<std::string> second_version_line(std::string_view line) {
  if (listed(line, k_second_version)) return std::string(line) + "\n";
  if (line != "fetch" && !line.starts_with("fetch=")) return std::nullopt;
  std::string out = "fetch";
  if (line.size() > 6)
    for (const auto& word: words_of(line.substr(6))) {
      if (!listed(word, k_fetch_features)) continue;
      out += out.size() == 5 ? '=' : ' ';
      out += word;
    }
  return out + "\n";
}

/// All packets of a body that is whole.
class Packets {
public:
  explicit Packets(std::string_view body) { reader_.feed(as_bytes(body)); }
  std::optional<Pkt> next() { return reader_.next(); }
  bool whole() const { return !reader_.broken() && reader_.rest().empty(); }

private:
  PktReader reader_;
};

std::size_t id_size_of(std::string_view format) {
  return format == "sha256" ? git::Oid::k_sha256 : git::Oid::k_sha1;
}

Result<PullRequest> read_second_version(Packets& packets, std::string_view command) {
  PullRequest out;
  out.second_version = true;
  out.band = k_pkt_max - 1;
  if (command == "command=ls-refs")
    out.kind = PullRequest::Kind::refs;
  else if (command != "command=fetch")
    return Error{"the command is not one that passes"};
  out.text = pkt(std::string(command) + "\n");
  bool arguments = false;
  bool ended = false;
  while (const auto packet = packets.next()) {
    if (ended) return Error{"there is more than one command"};
    if (packet->kind == Pkt::Kind::flush) {
      ended = true;
      out.text += k_flush_pkt;
      continue;
    }
    if (packet->kind == Pkt::Kind::delim && !arguments) {
      arguments = true;
      out.text += k_delim_pkt;
      continue;
    }
    if (packet->kind != Pkt::Kind::data) return Error{"a mark stands where none may be"};
    const std::string_view line = without_newline(as_text(packet->content));
    if (starts_with_any(line, k_left_out)) continue;
    if (!arguments) {
      if (!line.starts_with("agent=") && !line.starts_with("object-format=") &&
          !line.starts_with("server-option="))
        return Error{"a capability is not one that passes"};
      if (line.starts_with("object-format=")) out.id_size = id_size_of(line.substr(14));
    } else if (out.kind == PullRequest::Kind::refs) {
      if (line != "symrefs" && line != "peel" && line != "unborn" &&
          !line.starts_with("ref-prefix "))
        return Error{"an argument is not one that passes"};
    } else if (!listed(line, k_fetch_words) && !starts_with_any(line, k_fetch_values)) {
      return Error{"an argument is not one that passes"};
    }
    out.quiet = out.quiet || line == "no-progress";
    out.text += pkt(std::string(line) + "\n");
  }
  if (!ended || !packets.whole()) return Error{"it ends too early"};
  return out;
}

} // namespace

Result<std::string> filter_advertisement(std::string_view body, GitService service) {
  Packets packets(body);
  std::string out;
  bool second_version = false;
  bool listed_refs = false;
  bool ended = false;
  while (const auto packet = packets.next()) {
    if (ended) return Error{"there is something behind the end"};
    if (packet->kind == Pkt::Kind::flush) {
      out += k_flush_pkt;
      ended = listed_refs || second_version;
      continue;
    }
    if (packet->kind != Pkt::Kind::data) return Error{"a mark stands where none may be"};
    const std::string_view text = as_text(packet->content);
    const std::string_view line = without_newline(text);
    if (line == "version 2") second_version = true;
    if (line.starts_with("# service=") || line == "version 1" || line == "version 2" ||
        line.starts_with("ERR ")) {
      if (listed_refs) return Error{"a line stands where none may be"};
      out += pkt(text);
    } else if (second_version) {
      if (service != GitService::upload_pack) return Error{"there is no version 2 of pushes"};
      if (const auto passed = second_version_line(line)) out += pkt(*passed);
    } else if (!listed_refs) {
      if (line.find('\0') == std::string_view::npos) return Error{"there are no capabilities"};
      listed_refs = true;
      out += pkt(with_capabilities(line, service));
    } else {
      if (line.find('\0') != std::string_view::npos) return Error{"capabilities stand twice"};
      out += pkt(text);
    }
  }
  if (!packets.whole() || (!ended && out.find("ERR ") == std::string::npos))
    return Error{"it ends too early"};
  return out;
}

Result<PullRequest> read_pull_request(std::string_view body) {
  Packets packets(body);
  auto packet = packets.next();
  if (packet && packet->kind == Pkt::Kind::data) {
    const std::string first(without_newline(as_text(packet->content)));
    if (first.starts_with("command=")) return read_second_version(packets, first);
  }
  PullRequest out;
  bool wants = false;
  for (; packet; packet = packets.next()) {
    if (packet->kind == Pkt::Kind::flush) {
      out.text += k_flush_pkt;
      continue;
    }
    if (packet->kind != Pkt::Kind::data) return Error{"a mark stands where none may be"};
    std::string line(without_newline(as_text(packet->content)));
    if (line.starts_with("want ") && !wants) {
      wants = true;
      // "want ID CAPABILITY…"
      const std::size_t end = line.find(' ', 5);
      const Words asked = end == std::string::npos ? Words{} : words_of(line.substr(end));
      line.resize(std::min(end, line.size()));
      out.id_size =
          line.size() == 5 + 2 * git::Oid::k_sha256 ? git::Oid::k_sha256 : git::Oid::k_sha1;
      for (const auto& word: asked) {
        if (!listed(word, k_upload_pack)) continue;
        out.quiet = out.quiet || word == "no-progress";
        if (word == "side-band-64k") out.band = k_pkt_max - 1;
        if (word == "side-band" && out.band == 0) out.band = 995;
        line += " " + word;
      }
      if (out.band == 0) return Error{"the client takes no side-band: it is too old"};
    } else if (line != "done" && !starts_with_any(line, k_fetch_values)) {
      return Error{"a line is not one that passes"};
    }
    out.text += pkt(line + "\n");
  }
  if (!packets.whole()) return Error{"it ends too early"};
  return out;
}

bool PullAnswer::is_line(std::string_view text) const {
  static constexpr auto k_both =
      std::to_array<std::string_view>({"ACK ", "NAK\n", "shallow ", "unshallow ", "ERR "});
  static constexpr auto k_second =
      std::to_array<std::string_view>({"acknowledgments\n", "shallow-info\n", "ready\n"});
  if (starts_with_any(text, k_both)) return true;
  return text == "NAK" || (second_version_ && starts_with_any(text, k_second));
}

std::optional<PullAnswer::Part> PullAnswer::next() {
  while (!broken_) {
    const auto packet = packets_.next();
    if (!packet) return std::nullopt;
    if (auto part = take(*packet)) return part;
  }
  return std::nullopt;
}

// Nothing: the packet says nothing to anybody, or it breaks the answer.
std::optional<PullAnswer::Part> PullAnswer::take(const Pkt& packet) {
  const auto line = [this](std::string text) {
    line_ = std::move(text);
    return Part{Part::Kind::line, as_bytes(line_)};
  };
  broken_ = ended_;
  if (broken_) return std::nullopt;
  if (packet.kind == Pkt::Kind::flush) {
    ended_ = has_pack_ || second_version_;
    if (has_pack_) return std::nullopt;
    return line(std::string(k_flush_pkt));
  }
  if (packet.kind == Pkt::Kind::delim && second_version_ && !has_pack_)
    return line(std::string(k_delim_pkt));
  broken_ = packet.kind != Pkt::Kind::data || packet.content.empty();
  if (broken_) return std::nullopt;
  const std::string_view text = as_text(packet.content);
  const std::uint8_t band = packet.content.front();
  if (!has_pack_ && second_version_ && text == "packfile\n") {
    has_pack_ = true;
    return line(pkt(text));
  }
  if (!has_pack_ && is_line(text)) return line(pkt(text));
  // Without version 2 nothing announces the pack.
  if (!second_version_) has_pack_ = true;
  broken_ = !has_pack_ || band < 1 || band > 3;
  if (broken_) return std::nullopt;
  const Bytes rest = packet.content.subspan(1);
  if (band == 1) {
    if (rest.empty()) return std::nullopt; // keeps the connection alive
    return Part{Part::Kind::pack, rest};
  }
  return Part{band == 2 ? Part::Kind::progress : Part::Kind::error, rest};
}

bool PushHead::deletes_only() const {
  return std::all_of(updates_.begin(), updates_.end(),
                     [](const git::RefUpdate& update) { return update.deletes(); });
}

bool PushHead::asks(std::string_view capability) const {
  return std::find(capabilities_.begin(), capabilities_.end(), capability) != capabilities_.end();
}

PushHead::State PushHead::fail(std::string why) {
  problem_ = std::move(why);
  return state_ = State::broken;
}

PushHead::State PushHead::take(const Pkt& packet) {
  if (state_ != State::more) return state_;
  if (packet.kind == Pkt::Kind::flush) {
    text_ += k_flush_pkt;
    if (in_options_ || !options_follow_) return state_ = State::complete;
    in_options_ = true;
    return state_;
  }
  if (packet.kind != Pkt::Kind::data) return fail("a mark stands where none may be");
  if (text_.size() + packet.content.size() > k_head_max) return fail("there are too many commands");
  const std::string_view text = as_text(packet.content);
  if (!in_options_) return take_command(text);
  text_ += pkt(text);
  return state_;
}

PushHead::State PushHead::take_command(std::string_view text) {
  std::string_view line = without_newline(text);
  if (line.starts_with("shallow ")) {
    if (!git::Oid::from_hex(line.substr(8))) return fail("a shallow line names no commit");
    text_ += pkt(std::string(line) + "\n");
    return state_;
  }
  std::string capabilities;
  if (const std::size_t nul = line.find('\0'); nul != std::string_view::npos) {
    if (!updates_.empty()) return fail("capabilities stand twice");
    for (auto& word: words_of(line.substr(nul + 1))) {
      if (!listed(word, k_receive_pack)) continue;
      capabilities += " " + word;
      capabilities_.push_back(std::move(word));
    }
    line = line.substr(0, nul);
    options_follow_ = asks("push-options");
  }
  if (updates_.size() >= k_updates_max) return fail("there are too many commands");
  auto parsed = git::parse_ref_lines(std::string(line) + "\n");
  if (!parsed || parsed->size() != 1) return fail("a command is not one that passes");
  const bool first = updates_.empty();
  updates_.push_back(std::move(parsed->front()));
  std::string out(line);
  if (first) {
    out += '\0';
    out += capabilities;
  }
  text_ += pkt(out);
  return state_;
}

Result<FetchFeatures> read_features(std::string_view advertisement) {
  Packets packets(advertisement);
  FetchFeatures out;
  bool second_version = false;
  bool fetches = false;
  while (const auto packet = packets.next()) {
    if (packet->kind != Pkt::Kind::data) continue;
    const std::string_view line = without_newline(as_text(packet->content));
    second_version = second_version || line == "version 2";
    if (line == "object-format=sha1" || line == "object-format=sha256")
      out.object_format = line.substr(14);
    if (line != "fetch" && !line.starts_with("fetch=")) continue;
    fetches = true;
    for (const auto& word: words_of(line.substr(std::min<std::size_t>(line.size(), 6)))) {
      out.shallow = out.shallow || word == "shallow";
      out.filter = out.filter || word == "filter";
    }
  }
  if (!packets.whole() || !second_version || !fetches)
    return Error{"the hub's Git does not speak version 2 of its protocol"};
  return out;
}

namespace {

// A command up to its arguments.
std::string command(const FetchFeatures& features, std::string_view name) {
  std::string out = pkt("command=" + std::string(name) + "\n");
  if (!features.object_format.empty()) out += pkt("object-format=" + features.object_format + "\n");
  out += k_delim_pkt;
  return out;
}

} // namespace

std::string fetch_request(const FetchFeatures& features, const FetchWish& wish) {
  std::string out = command(features, "fetch");
  out += pkt("ofs-delta\n");
  out += pkt("no-progress\n");
  for (const git::Oid& oid: wish.objects)
    out += pkt("want " + oid.hex() + "\n");
  if (!wish.whole_history && features.shallow) out += pkt("deepen 1\n");
  if (wish.trees_only && features.filter) out += pkt("filter blob:none\n");
  out += pkt("done\n");
  out += k_flush_pkt;
  return out;
}

std::string ref_request(const FetchFeatures& features, std::string_view name) {
  std::string out = command(features, "ls-refs");
  out += pkt("ref-prefix " + std::string(name) + "\n");
  out += k_flush_pkt;
  return out;
}

Result<std::optional<git::Oid>> read_ref(std::string_view answer, std::string_view name) {
  Packets packets(answer);
  std::optional<git::Oid> out;
  while (const auto packet = packets.next()) {
    if (packet->kind == Pkt::Kind::flush) continue;
    const Words words = words_of(without_newline(as_text(packet->content)));
    if (packet->kind != Pkt::Kind::data || words.size() < 2)
      return Error{"the hub's list of refs can't be understood"};
    if (words[1] == name) out = git::Oid::from_hex(words[0]);
  }
  if (!packets.whole()) return Error{"the hub's list of refs ends too early"};
  return out;
}

std::optional<std::string> gunzip(std::string_view body, std::size_t most) {
  z_stream stream{};
  constexpr int k_gzip = 16 + MAX_WBITS;
  if (inflateInit2(&stream, k_gzip) != Z_OK) return std::nullopt;
  std::string out;
  std::array<char, 16384> piece{};
  std::string in(body);
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  int state = Z_OK;
  while (state == Z_OK && out.size() <= most) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    state = inflate(&stream, Z_NO_FLUSH);
    out.append(piece.data(), piece.size() - stream.avail_out);
  }
  const bool whole = state == Z_STREAM_END && stream.avail_in == 0 && out.size() <= most;
  inflateEnd(&stream);
  if (!whole) return std::nullopt;
  return out;
}

} // namespace hubgate::proxy
