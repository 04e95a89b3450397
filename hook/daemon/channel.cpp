#include "hook/daemon/channel.hpp"

#include "scanner/core/evidence.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace hubgate::daemon {
namespace {

constexpr std::size_t k_descriptors = 2;
/// More than are ever sent, so that too many are seen and closed, and not only cut off.
constexpr std::size_t k_room = 8;

Error failed(std::string_view what) {
  return Error{std::string(what) + ": " + std::strerror(errno)};
}

Result<sockaddr_un> address_of(const std::filesystem::path& path) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.empty() || text.size() >= sizeof out.sun_path)
    return Error{"a socket's path has 1 to " + std::to_string(sizeof out.sun_path - 1) + " bytes"};
  std::memcpy(out.sun_path, text.data(), text.size());
  return out;
}

} // namespace

Result<Sending> Sending::make(Type type, std::uint32_t id, Bytes payload, Fd attached) {
  const bool answer = type >= Type::done;
  if (payload.size() > (answer ? k_max_answer : k_max_question))
    return Error{"a message of " + std::to_string(payload.size()) + " bytes is too long"};
  Sending out;
  const bool is_long = payload.size() > k_max_datagram - Header::k_size;
  if (is_long) out.long_payload_ = HUBGATE_TRY(sealed_memory(payload));
  out.datagram_ = header_bytes({type, is_long, static_cast<bool>(attached), id, payload.size()});
  if (!is_long) out.datagram_.insert(out.datagram_.end(), payload.begin(), payload.end());
  out.attached_ = std::move(attached);
  return out;
}

Result<bool> Channel::send(const Sending& message, Wait wait) {
  iovec bytes{const_cast<std::uint8_t*>(message.datagram_.data()), message.datagram_.size()};
  msghdr head{};
  head.msg_iov = &bytes;
  head.msg_iovlen = 1;
  std::array<int, k_descriptors> fds{};
  std::size_t count = 0;
  for (const Fd* fd: {&message.long_payload_, &message.attached_})
    if (*fd) fds[count++] = fd->get();
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * k_descriptors)> control{};
  if (count != 0) {
    head.msg_control = control.data();
    head.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    cmsghdr* part = CMSG_FIRSTHDR(&head);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int) * count);
    std::memcpy(CMSG_DATA(part), fds.data(), sizeof(int) * count);
  }
  while (true) {
    const ssize_t n =
        sendmsg(socket_.get(), &head, MSG_NOSIGNAL | (wait == Wait::no ? MSG_DONTWAIT : 0));
    if (n >= 0) return true;
    if (errno == EINTR) continue;
    if (errno == EAGAIN && wait == Wait::no) return false;
    return failed("can't send");
  }
}

Result<std::optional<Received>> Channel::receive() {
  std::vector<std::uint8_t> buffer(k_max_datagram);
  iovec bytes{buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * k_room)> control{};
  msghdr head{};
  head.msg_iov = &bytes;
  head.msg_iovlen = 1;
  head.msg_control = control.data();
  head.msg_controllen = control.size();
  ssize_t n = 0;
  // A reset is said once, and before what the peer had said: its last word may be behind it.
  do
    n = recvmsg(socket_.get(), &head, MSG_CMSG_CLOEXEC);
  while (n < 0 && (errno == EINTR || errno == ECONNRESET));
  if (n < 0) return failed("can't receive");
  std::vector<Fd> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(&head); part != nullptr; part = CMSG_NXTHDR(&head, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      fds.emplace_back(fd);
    }
  }
  if (n == 0) return std::optional<Received>();
  if ((head.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return Error{"a message that is too long"};
  buffer.resize(static_cast<std::size_t>(n));
  const auto header = read_header(buffer);
  if (!header) return Error{"what came is no message"};
  const std::size_t announced = (header->long_payload ? 1u : 0u) + (header->attached ? 1u : 0u);
  if (fds.size() != announced) return Error{"a message with other descriptors than it says"};
  Received out;
  out.header = *header;
  if (header->long_payload) out.long_payload = std::move(fds.front());
  if (header->attached) out.attached = std::move(fds.back());
  if (!header->long_payload) out.payload.assign(buffer.begin() + Header::k_size, buffer.end());
  return std::optional(std::move(out));
}

Result<std::vector<std::uint8_t>> Channel::payload(Received& message) {
  if (!message.header.long_payload) return std::move(message.payload);
  const int fd = message.long_payload.get();
  struct stat info{};
  if (!is_sealed(fd) || fstat(fd, &info) != 0 ||
      static_cast<std::uint64_t>(info.st_size) != message.header.length)
    return Error{"a payload that is no sealed memory of its length"};
  std::vector<std::uint8_t> out(static_cast<std::size_t>(message.header.length));
  for (std::size_t done = 0; done < out.size();) {
    const ssize_t n = pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return failed("can't read a payload");
    done += static_cast<std::size_t>(n);
  }
  message.long_payload.reset();
  return out;
}

void Channel::shut() {
  ::shutdown(socket_.get(), SHUT_RDWR);
}

Result<Peer> peer_of(int socket) {
  ucred who{};
  socklen_t size = sizeof who;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
    return failed("can't tell who is at the other end");
  return Peer{who.uid, who.pid};
}

Result<Fd> connect_to(const std::filesystem::path& path) {
  const sockaddr_un address = HUBGATE_TRY(address_of(path));
  Fd out(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!out) return failed("can't make a socket");
  if (connect(out.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return failed(printable(path.string(), 300));
  const Peer peer = HUBGATE_TRY(peer_of(out.get()));
  struct stat folder{};
  if (stat(path.parent_path().c_str(), &folder) != 0)
    return failed(printable(path.parent_path().string(), 300));
  if (peer.uid != 0 && peer.uid != geteuid() && peer.uid != folder.st_uid)
    return Error{printable(path.string(), 300) + ": account " + std::to_string(peer.uid) +
                 " listens there, and the folder is not its own"};
  return out;
}

} // namespace hubgate::daemon
