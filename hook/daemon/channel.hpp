#pragma once
// Channel: messages with descriptors over a SOCK_SEQPACKET socket. Nothing is believed: descriptors
// that a message does not announce, and payloads that can still be changed, are errors.
#include "hook/daemon/wire.hpp"

#include <sys/types.h>

#include <chrono>
#include <filesystem>

namespace hubgate::daemon {

/// A message that came. Its payload may still be in memory of the peer: see Channel::payload().
struct Received {
  Header header;
  std::vector<std::uint8_t> payload; ///< when it is short
  Fd long_payload;
  Fd attached;
};

/// A message to send, ready for any number of attempts.
class Sending {
public:
  /// Fails when the payload is too long, or memory for it can't be had.
  static Result<Sending> make(Type type, std::uint32_t id, Bytes payload, Fd attached = {});

private:
  friend class Channel;
  std::vector<std::uint8_t> datagram_;
  Fd long_payload_;
  Fd attached_;
};

class Channel {
public:
  explicit Channel(Fd socket) : socket_(std::move(socket)) {}
  int fd() const { return socket_.get(); }

  enum class Wait { yes, no };
  /// False: it would have to wait (Wait::no). An error: nothing more can be sent.
  Result<bool> send(const Sending& message, Wait wait);
  /// Waits for a message; nothing when the peer has closed.
  Result<std::optional<Received>> receive();
  /// The payload, which is taken out of the message.
  static Result<std::vector<std::uint8_t>> payload(Received& message);
  /// Nothing more is sent or received.
  void shut();

private:
  Fd socket_;
};

struct Peer {
  uid_t uid = 0;
  pid_t pid = 0;
};
/// The account and process at the other end (SO_PEERCRED, unix(7)).
Result<Peer> peer_of(int socket);

/// An open socket to a path. For the hook: fails when who listens there owns neither this process,
/// the folder nor the machine.
Result<Fd> connect_to(const std::filesystem::path& path);

} // namespace hubgate::daemon
