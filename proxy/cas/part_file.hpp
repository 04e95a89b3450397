#pragma once
// PartFile: the parts of a file as the hub's CAS sends them, several at once, each with one request
// for all of it, as clients ask too (a CDN's request costs more than its bytes). They lie in an
// unlinked file that counts as the person's spool, so that a slow reader costs no memory.
#include "proxy/cas/parts.hpp"
#include "proxy/cas/shelf.hpp"
#include "proxy/relay/gate.hpp"

namespace hubgate::proxy {

class PartFile final : public std::enable_shared_from_this<PartFile> {
public:
  /// Fetches nothing yet. `fields` go with every request. An error: an address is not followed, or
  /// there is no file to be had.
  static Result<std::shared_ptr<PartFile>> create(Gate& gate, const Hub& hub, std::string user,
                                                  Headers fields, std::vector<CasPart> parts);

  const std::vector<CasPart>& parts() const { return parts_; }

  /// Part `index` is read now, and those behind it may be fetched ahead.
  void want(std::size_t index);
  /// Part `index` was read. Its room is given back unless all is kept.
  void taken(std::size_t index);
  /// Nothing is given back: the whole is wanted once more.
  void keep() { keep_ = true; }
  bool keeps() const { return keep_; }
  /// Nobody wants what is still to come.
  void close() { closed_ = true; }

  /// Bytes of a part from `offset` on, as many as are here and fit; waits for at least one. 0: its
  /// end. -1: `error` says what is wrong.
  Task<std::int64_t> read(std::size_t index, std::uint64_t offset, std::span<std::uint8_t> out,
                          std::string& error);

private:
  struct State {
    Url url;
    std::uint64_t at = 0;   ///< where it begins in the file
    std::uint64_t here = 0; ///< bytes that came
    bool taken = false;     ///< nobody needs the rest
    std::string error;
  };
  PartFile(Gate& gate, const Hub& hub, std::string user, Headers fields,
           std::vector<CasPart> parts);
  Task<void> fetch(std::shared_ptr<PartFile> self, std::size_t index);
  Task<bool> receive(std::size_t index);
  void start_more();

  Gate& gate_;
  const Hub& hub_;
  Headers fields_;
  std::vector<CasPart> parts_;
  std::vector<State> states_;
  Fd file_;
  Charge charge_;
  Event changed_;
  std::size_t wanted_ = 0;  ///< the part that is being read
  std::size_t started_ = 0; ///< parts before this one have been asked for
  bool keep_ = false;
  bool closed_ = false;
};

/// One part, as a body.
class PartBody final : public BodySource {
public:
  PartBody(std::shared_ptr<PartFile> file, std::size_t index)
      : file_(std::move(file)), index_(index) {}
  Task<std::int64_t> read(std::span<std::uint8_t> out) override;
  std::string error() const override { return error_; }
  std::optional<std::uint64_t> length() const override { return file_->parts()[index_].bytes(); }

private:
  std::shared_ptr<PartFile> file_;
  std::size_t index_;
  std::uint64_t at_ = 0;
  std::string error_;
};

/// Asks for the bytes of a part. Null with a line in `error`, and the answer's status in `status`
/// (0: there was none).
Task<std::unique_ptr<Exchange>> ask_for_part(Upstream& upstream, const Hub& hub, Headers fields,
                                             const Url& url, const CasPart& part, int& status,
                                             std::string& error);

} // namespace hubgate::proxy
