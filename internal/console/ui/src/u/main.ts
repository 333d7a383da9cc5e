import '../lib/phone/app.css'
