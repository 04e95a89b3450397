#pragma once
// What Git's clients and servers say to each other over HTTP (gitprotocol-http(5), -pack(5),
// -v2(5), -capabilities(5)), as far as it may pass: capabilities are taken from lists, requests are
// written anew from what was understood. Nothing that lets objects travel past the gate is offered
// (packfile-uris, bundle-uri, object-info), and every pack is whole (no thin packs).
#include "proxy/git/pkt_line.hpp"
#include "scanner/core/result.hpp"
#include "scanner/git/ref_lines.hpp"

#include <string>
#include <vector>

namespace hubgate::proxy {

enum class GitService { upload_pack, receive_pack };

/// The answer to info/refs with the capabilities that pass. An error: it can't be understood.
Result<std::string> filter_advertisement(std::string_view body, GitService service);

/// A request to git-upload-pack.
struct PullRequest {
  enum class Kind { refs, fetch };
  Kind kind = Kind::fetch;
  bool second_version = false; ///< of the protocol
  std::size_t band = 0;        ///< most bytes of a packet of the side-band
  std::size_t id_size = git::Oid::k_sha1;
  bool quiet = false; ///< no progress is wanted
  std::string text;   ///< what is sent on
};

/// An error: a person may read why it does not pass.
Result<PullRequest> read_pull_request(std::string_view body);

/// The answer of git-upload-pack to a fetch, as it arrives.
class PullAnswer {
public:
  explicit PullAnswer(bool second_version) : second_version_(second_version) {}

  struct Part {
    enum class Kind {
      line,     ///< a packet that is passed on as it is: `bytes` with its head
      pack,     ///< bytes of the pack
      progress, ///< text for a person
      error,    ///< the server gives up, with a text for a person
    };
    Kind kind = Kind::line;
    Bytes bytes; ///< valid until the next call
  };
  void feed(Bytes bytes) { packets_.feed(bytes); }
  /// Nothing: it takes more bytes, or all has come, or it is broken().
  std::optional<Part> next();
  bool broken() const { return broken_ || packets_.broken(); }
  /// Whether the answer may end here.
  bool complete() const { return packets_.rest().empty() && (ended_ || !has_pack_); }
  bool has_pack() const { return has_pack_; }

private:
  std::optional<Part> take(const Pkt& packet);
  bool is_line(std::string_view text) const;

  bool second_version_;
  PktReader packets_;
  std::string line_;
  bool has_pack_ = false; ///< the pack has begun
  bool ended_ = false;
  bool broken_ = false;
};

/// What a push begins with: commands, capabilities, push options; the pack comes behind it.
class PushHead {
public:
  enum class State { more, complete, broken };
  State take(const Pkt& packet);
  State state() const { return state_; }
  const std::string& problem() const { return problem_; }

  const std::vector<git::RefUpdate>& updates() const { return updates_; }
  bool deletes_only() const;
  bool asks(std::string_view capability) const;
  /// What is sent on before the pack.
  const std::string& text() const { return text_; }

private:
  State fail(std::string why);
  State take_command(std::string_view line);

  State state_ = State::more;
  std::string problem_;
  std::vector<git::RefUpdate> updates_;
  std::vector<std::string> capabilities_;
  bool options_follow_ = false;
  bool in_options_ = false;
  std::string text_;
};

// What the gate itself asks of a hub's git-upload-pack, in version 2 of the protocol.

/// What its advertisement offers. An error: it does not speak version 2.
struct FetchFeatures {
  bool shallow = false;
  bool filter = false;
  std::string object_format; ///< "" when it says nothing of it
};
Result<FetchFeatures> read_features(std::string_view advertisement);

struct FetchWish {
  std::vector<git::Oid> objects;
  bool whole_history = false; ///< of commits; else the commits alone
  bool trees_only = false; ///< no blobs but those that are named; where the hub can leave them out
};
std::string fetch_request(const FetchFeatures& features, const FetchWish& wish);

/// The request for one ref, and what the answer says that it names; nothing: there is no such ref.
std::string ref_request(const FetchFeatures& features, std::string_view name);
Result<std::optional<git::Oid>> read_ref(std::string_view answer, std::string_view name);

/// Inflates a gzip body (RFC 1952) of at most `most` bytes; nothing when it is none, or longer.
std::optional<std::string> gunzip(std::string_view body, std::size_t most);

} // namespace hubgate::proxy
