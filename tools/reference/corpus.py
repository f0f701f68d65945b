"""Text the tiny sentencepiece model is trained on. Written for this purpose."""

SENTENCES = """
A red fox runs through the snow while the sun sets behind the hills.
A cat and a dog walk along the beach in the morning light.
The camera moves slowly over a quiet lake, with mountains in the distance.
Two children fly a yellow kite above a green field on a windy day.
A woman pours coffee into a white cup; steam rises in the cold kitchen.
An old train crosses a stone bridge, smoke drifting over the river.
Waves break on black rocks under a cloudy sky, in slow motion.
A close-up of a bee landing on a purple flower, shallow depth of field.
The city at night: neon signs, wet streets, and cars passing by.
A paper boat floats down a small stream between mossy stones.
Bright tones, static, blurred details, low quality, still picture, messy background.
Overexposed, worst quality, subtitles, style, painting, gray, ugly, incomplete.
Extra fingers, poorly drawn hands, poorly drawn faces, deformed, walking backwards.
A robot paints a portrait of a cat in a bright studio, 4k, 24 fps.
He said it's fine, but she didn't think so; they're still waiting.
Snow falls on a small village, and lanterns glow in every window.
A glass of water tips over the edge of the table and breaks on the floor.
The dancer turns, jumps and lands softly on the wooden stage.
Rain runs down the window of a caf\u00e9 while people walk past with umbrellas.
A na\u00efve young painter carries his canvas through the stra\u00dfe near the caf\u00e9.
\u041a\u043e\u0442 \u0438\u0434\u0451\u0442 \u043f\u043e \u0441\u043d\u0435\u0433\u0443. \u041a\u043e\u0442 \u0441\u043f\u0438\u0442.
\u4e00\u53ea\u732b\u5728\u6d77\u8fb9\u3002\u4e00\u53ea\u732b\u5728\u96ea\u91cc\u3002
\u732b\u304c\u6d77\u3092\u898b\u308b\u3002
El ni\u00f1o corre por la monta\u00f1a. La ni\u00f1a canta en el jard\u00edn.
The temperature is 21\u00b0C; the price is \u20ac5 or 10% less.
Question? Answer! (Maybe) [yes] {no} "quoted" 'single' a/b a_b a+b = c & d # 1 @ 2 * 3
ABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz `~^<>$|\\ JPEG
0 1 2 3 4 5 6 7 8 9 10 16 30 60 80 480 720 1280
""".strip().split("\n")
