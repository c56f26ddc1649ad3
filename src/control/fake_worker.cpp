// What tests start instead of a model: a process that answers every HTTP request on a Unix socket.
// argv: socket, behaviour. Behaviours, separated by commas:
//   fail          print a reason and exit with 3
//   slow=MS       wait before listening
//   stubborn      ignore SIGTERM
//   deaf          never listen
//   say=TEXT      print TEXT first
//   environment   print the variable FAKE_WORKER
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>

namespace {

void serve(const char* path) {
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, 16) != 0) {
    std::perror("fake worker");
    std::exit(4);
  }
  for (;;) {
    const int connection = ::accept(listener, nullptr, nullptr);
    if (connection < 0) continue;
    char request[4096];
    if (::read(connection, request, sizeof request) > 0) {
      const std::string reply =
          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\n"
          "Connection: close\r\n\r\n{}";
      [[maybe_unused]] auto count = ::write(connection, reply.data(), reply.size());
    }
    ::close(connection);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::setvbuf(stdout, nullptr, _IONBF, 0);
  std::istringstream list(argv[2]);
  bool deaf = false;
  for (std::string word; std::getline(list, word, ',');) {
    if (word == "fail") {
      std::fprintf(stderr, "loading\ntessera: unsupported architecture 'nonsense'\n\n");
      return 3;
    }
    if (word.starts_with("slow=")) ::usleep(1000 * std::atoi(word.c_str() + 5));
    if (word == "stubborn") std::signal(SIGTERM, SIG_IGN);
    if (word == "deaf") deaf = true;
    if (word.starts_with("say=")) std::printf("%s\n", word.c_str() + 4);
    if (word == "environment") {
      const char* value = std::getenv("FAKE_WORKER");
      std::printf("FAKE_WORKER is %s\n", value ? value : "not set");
    }
  }
  if (deaf) {
    for (;;) ::pause();
  }
  serve(argv[1]);
}
