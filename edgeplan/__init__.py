"""edgeplan: placement of neural-network layers and requests across edge and cloud."""

__version__ = "0.1.0"
