"""The progress line on terminals of several kinds."""

import fcntl
import os
import pty
import struct
import subprocess
import termios

from support import CliTest, PROGRAM, PROMPT, SMALL, TINY


class Terminal(CliTest):
    def generate_on(self, columns, term="xterm"):
        """What the program writes to a terminal of so many columns."""
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        words = [PROGRAM, "generate", "-m", str(TINY), "-p", PROMPT, "-o",
                 str(self.folder / "clip.mp4"), *SMALL]
        process = subprocess.Popen(words, stdout=its, stderr=its,
                                   env={**os.environ, "TERM": term})
        os.close(its)
        written = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            written += piece
        os.close(ours)
        self.assertEqual(process.wait(), 0, written)
        return written.decode()

    def test_the_progress_line_is_written_over(self):
        text = self.generate_on(80)
        self.assertIn("\rsampling 0/2\x1b[K\rsampling 1/2", text)
        self.assertIn(" left\x1b[K\r\n", text)

    def test_a_line_that_would_wrap_is_cut(self):
        lines = [line for line in self.generate_on(20).split("\r") if "\x1b[K" in line]
        self.assertTrue(any(line.startswith("sampling 1/2, ") for line in lines), lines)
        for line in lines:
            self.assertLess(len(line.replace("\x1b[K", "")), 20, lines)

    def test_a_terminal_without_control_sequences_gets_plain_lines(self):
        text = self.generate_on(80, term="dumb")
        self.assertNotIn("\x1b", text)
        self.assertIn("sampling 2/2, ", text)
        self.assertNotIn("\r", text.replace("\r\n", ""))

    def test_a_terminal_of_unknown_width_is_taken_for_wide(self):
        self.assertIn(" left\x1b[K", self.generate_on(0))
